import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessToken, assert, AUD, DRIVE, postAssertion, READ } from './ask.ts'
import type { ServiceAccountFile } from './service-accounts.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

let google: GoogleStandIn
let account: ServiceAccountFile
const ann = 'ann@acme.example'
const nowSeconds = Math.floor(Date.now() / 1000)

beforeAll(async () => {
  google = await startGoogleStandIn()
  account = await google.createServiceAccount({ delegatedScopes: { [ann]: [READ, DRIVE] } })
})
afterAll(() => google.close())

describe('a service account’s assertion', () => {
  test('gives a token of the scopes asked for, and the reply has no scope', async () => {
    const answer = await assert(google, account, { scope: `${READ} ${DRIVE}` })
    expect(Object.keys(answer.body)).toEqual(['access_token', 'expires_in', 'token_type'])
    expect(google.token(accessToken(answer))).toMatchObject({
      kind: 'service_account',
      scopes: [READ, DRIVE],
      subject: account.client_email,
      keyId: account.private_key_id,
    })
  })

  test('needs no kid; a wrong one is refused', async () => {
    expect((await assert(google, account, {}, { kid: undefined })).status).toBe(200)
    const wrong = await assert(google, account, {}, { kid: 'f'.repeat(40) })
    expect(wrong.body['error_description']).toBe('Invalid JWT Signature.')
  })

  const timeframe =
    'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.'
  test.each([
    [
      'another audience',
      { aud: 'https://www.googleapis.com/oauth2/v4/token' },
      'Invalid JWT: Failed audience check.',
    ],
    ['a list of audiences', { aud: [AUD] }, 'Invalid JWT: Failed audience check.'],
    ['no audience', { aud: undefined }, 'Invalid JWT: Failed audience check.'],
    ['a life of 3601 s', { iat: nowSeconds, exp: nowSeconds + 3601 }, timeframe],
    ['an end in the past', { iat: nowSeconds - 3600, exp: nowSeconds - 1 }, timeframe],
    ['a start 400 s ahead', { iat: nowSeconds + 400, exp: nowSeconds + 500 }, timeframe],
    ['no iat', { iat: undefined }, timeframe],
    ['no exp', { exp: undefined }, timeframe],
    ['fractions of a second', { exp: nowSeconds + 100.5 }, timeframe],
    [
      'an unknown account',
      { iss: 'nobody@acme.iam.gserviceaccount.com' },
      'Invalid grant: account not found',
    ],
    ['no account', { iss: 'nobody' }, 'Not a valid email'],
    ['no scope', { scope: undefined }, 'Invalid OAuth scope or ID token audience provided.'],
    ['an unknown scope', { scope: 'storage' }, 'Some requested scopes were invalid. {invalid=[storage]}'],
    ['a sub that is no address', { sub: 'ann' }, 'Invalid impersonation "sub" field'],
  ])('with %s is refused', async (_, claims: Record<string, unknown>, description) => {
    const answer = await assert(google, account, claims)
    expect([answer.status, answer.body['error_description']]).toEqual([400, description])
    expect((await assert(google, account)).status).toBe(200)
  })

  test('with a start a little ahead and a full hour to live is taken', async () => {
    const iat = nowSeconds + 60
    expect((await assert(google, account, { iat, exp: iat + 3600 })).status).toBe(200)
  })

  test('that is no JWT, or signed with a shared secret, is refused', async () => {
    expect((await postAssertion(google, 'a.b')).body['error']).toBe('invalid_grant')
    const claims = { iss: account.client_email, scope: READ, aud: AUD }
    const signed = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(account.private_key))
    expect((await postAssertion(google, signed)).body['error_description']).toBe('Invalid JWT Signature.')
  })

  test('signed with a disabled or deleted key, or with another account’s, is refused; its tokens live on', async () => {
    const file = await google.createServiceAccount()
    const { client_email: email, private_key_id: id } = file
    const value = accessToken(await assert(google, file))
    google.disableKey(email, id)
    expect((await assert(google, file)).body['error_description']).toBe('Invalid JWT Signature.')
    google.enableKey(email, id)
    expect((await assert(google, file)).status).toBe(200)
    const foreign = { ...file, private_key: account.private_key }
    expect((await assert(google, foreign)).body['error_description']).toBe('Invalid JWT Signature.')
    google.deleteKey(email, id)
    expect((await assert(google, file)).body['error_description']).toBe('Invalid JWT Signature.')
    expect(google.token(value)?.revoked).toBe(false)
  })

  test('of a disabled account is refused until it is enabled', async () => {
    const file = await google.createServiceAccount()
    google.disableServiceAccount(file.client_email)
    expect((await assert(google, file)).body['error_description']).toBe('Robot is disabled.')
    google.enableServiceAccount(file.client_email)
    expect((await assert(google, file)).status).toBe(200)
    google.deleteServiceAccount(file.client_email)
    expect((await assert(google, file)).body['error_description']).toBe('Invalid grant: account not found')
  })

  test('signed with a new key is refused until the key has propagated', async () => {
    let now = nowSeconds
    const other = await startGoogleStandIn({ now: () => now, keyPropagation: 30 })
    const first = await other.createServiceAccount()
    const added = await other.addKey(first.client_email)
    expect((await assert(other, first, {}, { now })).status).toBe(200)
    expect((await assert(other, added, {}, { now })).body['error_description']).toBe('Invalid JWT Signature.')
    now += 30
    expect((await assert(other, added, {}, { now })).status).toBe(200)
    await other.close()
  })

  test('for an ID token gives that alone', async () => {
    const claims = { scope: undefined, target_audience: 'https://svc.example' }
    const answer = await assert(google, account, claims)
    expect(Object.keys(answer.body)).toEqual(['id_token'])
    expect(google.token(String(answer.body['id_token']))).toMatchObject({
      kind: 'id_token',
      audience: 'https://svc.example',
      subject: account.client_email,
    })
    expect((await assert(google, account, { target_audience: 'x' })).status).toBe(501)
  })
})

describe('domain-wide delegation', () => {
  test('gives a token that acts for the user', async () => {
    const value = accessToken(await assert(google, account, { sub: ann }))
    expect(google.token(value)).toMatchObject({
      kind: 'delegated',
      subject: ann,
      actor: account.client_email,
      scopes: [READ],
    })
  })

  test('for none of the scopes, or by an account without delegation, is unauthorized_client', async () => {
    const other = await google.createServiceAccount()
    const scope = 'https://www.googleapis.com/auth/calendar'
    for (const answer of [
      await assert(google, account, { sub: ann, scope }),
      await assert(google, other, { sub: ann }),
    ]) {
      expect(answer.status).toBe(401)
      expect(answer.body).toEqual({
        error: 'unauthorized_client',
        error_description:
          'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.',
      })
    }
  })

  test('for some of the scopes only is access_denied', async () => {
    const scope = `${READ} https://www.googleapis.com/auth/calendar`
    const answer = await assert(google, account, { sub: ann, scope })
    expect(answer.status).toBe(401)
    expect(answer.body).toEqual({
      error: 'access_denied',
      error_description: 'Requested client not authorized.',
    })
  })

  test('for an unknown user is refused', async () => {
    const answer = await assert(google, account, { sub: 'other@acme.example' })
    expect(answer.body['error_description']).toBe('Invalid email or User ID')
  })
})
