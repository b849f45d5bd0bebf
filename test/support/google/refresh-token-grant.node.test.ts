import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessToken, DRIVE, READ, refresh } from './ask.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

let google: GoogleStandIn
beforeAll(async () => {
  google = await startGoogleStandIn()
})
afterAll(() => google.close())

describe('a refresh token', () => {
  test('without scope gives all consented scopes, with scope exactly those, and no new refresh token', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE, READ, 'openid'] })
    const all = await refresh(google, file)
    expect(all.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 3599,
      scope: `${DRIVE} ${READ} openid`,
    })
    expect(all.body).toHaveProperty('id_token')
    const narrow = await refresh(google, file, { scope: READ })
    expect(narrow.body['scope']).toBe(READ)
    expect(google.token(accessToken(narrow))?.scopes).toEqual([READ])
    expect(Object.keys(narrow.body)).toEqual(['access_token', 'expires_in', 'scope', 'token_type'])
    expect((await refresh(google, file, { scope: '' })).body['scope']).toBe(all.body['scope'])
  })

  test('a scope that is implied but not consented refuses the whole request', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    const refused = await refresh(google, file, { scope: `${DRIVE} ${DRIVE}.readonly` })
    expect(refused.status).toBe(400)
    expect(refused.body).toEqual({ error: 'invalid_scope', error_description: 'Bad Request' })
    expect((await refresh(google, file, { scope: DRIVE })).status).toBe(200)
  })

  test('a scope of no known shape is named', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    const { body } = await refresh(google, file, { scope: `a ${DRIVE} c` })
    expect(body['error_description']).toBe('Some requested scopes were invalid. {invalid=[a, c]}')
    expect(body['error_uri']).toBe('http://code.google.com/apis/accounts/docs/OAuth2.html')
  })

  test('the client is decided before the grant, the grant before the scope', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE], clientId: 'one', clientSecret: 'secret' })
    const wrong = { client_secret: 'guess', refresh_token: '1//0gone', scope: READ }
    const unauthorized = await refresh(google, file, wrong)
    expect([unauthorized.status, unauthorized.body['error_description']]).toEqual([401, 'Unauthorized'])
    const unknown = await refresh(google, file, { ...wrong, client_secret: 'secret' })
    expect(unknown.body).toEqual({ error: 'invalid_grant', error_description: 'Bad Request' })
    const scope = await refresh(google, file, { scope: READ })
    expect(scope.body['error']).toBe('invalid_scope')
    expect((await refresh(google, file)).status).toBe(200)
  })

  test.each([
    [{ client_id: 'nobody' }, 401, 'invalid_client', 'The OAuth client was not found.'],
    [{ client_id: '' }, 400, 'invalid_request', 'Could not determine client ID from request.'],
    [{ client_secret: '' }, 400, 'invalid_request', 'client_secret is missing.'],
    [{ refresh_token: '' }, 400, 'invalid_request', 'Missing required parameter: refresh_token'],
  ])('a request with %j is refused', async (more, status, error, error_description) => {
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    const answer = await refresh(google, file, more)
    expect(answer.status).toBe(status)
    expect(answer.body).toEqual({ error, error_description })
    expect((await refresh(google, file)).status).toBe(200)
  })

  test('of another client is refused', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE], clientId: 'a', clientSecret: 'a' })
    const other = google.createRefreshToken({ scopes: [DRIVE], clientId: 'b', clientSecret: 'b' })
    const answer = await refresh(google, file, { refresh_token: other.refresh_token })
    expect([answer.status, answer.body['error']]).toEqual([401, 'unauthorized_client'])
    expect((await refresh(google, other)).status).toBe(200)
  })

  test('of a deleted client is refused', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE], clientId: 'd', clientSecret: 'd' })
    expect((await refresh(google, file)).status).toBe(200)
    google.deleteClient('d')
    expect((await refresh(google, file)).body['error']).toBe('deleted_client')
  })

  test.each([
    ['revoked', 'Token has been expired or revoked.', true],
    ['expired', 'Token has been expired or revoked.', false],
    ['user_deleted', 'Account has been deleted', false],
    ['rapt_required', 'reauth related error (invalid_rapt)', false],
  ] as const)('of a grant that is %s is refused', async (state, description, killsAccessTokens) => {
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    const value = accessToken(await refresh(google, file))
    google.setGrantState(file.refresh_token, state)
    const answer = await refresh(google, file)
    expect(answer.body).toMatchObject({ error: 'invalid_grant', error_description: description })
    expect(google.token(value)?.revoked).toBe(killsAccessTokens)
    if (state === 'rapt_required') expect(answer.body['error_subtype']).toBe('invalid_rapt')
  })
})

describe('a rotating refresh token', () => {
  test('is replaced by each refresh and works once', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE], rotating: true })
    const first = await refresh(google, file)
    const next = { ...file, refresh_token: String(first.body['refresh_token']) }
    expect(next.refresh_token).not.toBe(file.refresh_token)
    expect((await refresh(google, file)).body['error_description']).toBe('Token has been expired or revoked.')
    expect((await refresh(google, next)).status).toBe(200)
    expect(google.grant(file.refresh_token)).toMatchObject({ state: 'live', rotations: 2 })
  })

  test('is not spent by a refused request', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE], rotating: true })
    expect((await refresh(google, file, { scope: READ })).body['error']).toBe('invalid_scope')
    expect(google.grant(file.refresh_token)?.current).toBe(file.refresh_token)
    expect((await refresh(google, file)).status).toBe(200)
  })

  test('with reuse detection, a spent one kills the family and its access tokens', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE], rotating: true, reuseDetection: true })
    const first = await refresh(google, file)
    const next = { ...file, refresh_token: String(first.body['refresh_token']) }
    expect((await refresh(google, file)).body['error']).toBe('invalid_grant')
    expect((await refresh(google, next)).body['error']).toBe('invalid_grant')
    expect(google.token(accessToken(first))?.revoked).toBe(true)
  })
})
