import { request } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { accessToken, answerOf, assert, callJson, DRIVE, READ, refresh } from './ask.ts'
import type { Behaviour } from './behaviour.ts'
import type { AuthorizedUserFile } from './refresh-grants.ts'
import { CLOUD_PLATFORM } from './scopes.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

let google: GoogleStandIn
let file: AuthorizedUserFile

beforeAll(async () => {
  google = await startGoogleStandIn()
})
beforeEach(() => {
  file = google.createRefreshToken({ scopes: [DRIVE, READ], rotating: true })
})
// The positive control of every test here: cleared, the same endpoint answers properly.
afterEach(async () => {
  google.clearScripts()
  const control = await refresh(google, google.createRefreshToken({ scopes: [DRIVE] }))
  expect([control.status, control.body['token_type']]).toEqual([200, 'Bearer'])
})
afterAll(() => google.close())

const rotations = () => google.grant(file.refresh_token)?.rotations
const form = () =>
  new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: file.client_id,
    client_secret: file.client_secret,
    refresh_token: file.refresh_token,
  })
const send = (init: RequestInit = {}) =>
  fetch(google.endpoints.GOOGLE_OAUTH_TOKEN_URL, { method: 'POST', body: form(), ...init })

async function once(behaviour: Behaviour) {
  google.script.token.next(1, behaviour)
  return refresh(google, file)
}

describe('the order of behaviours', () => {
  test('what is queued comes first, then what stands, and each endpoint has its own', async () => {
    google.script.token.always({ do: 'answer', status: 503, body: 'standing' })
    google.script.token.next(2, { do: 'answer', status: 500, body: 'queued' })
    const statuses = []
    for (let call = 0; call < 4; call += 1) statuses.push((await refresh(google, file)).status)
    expect(statuses).toEqual([500, 500, 503, 503])
    expect((await callJson(google.certsUrl, { method: 'GET' })).status).toBe(200)
  })

  test('a function chooses by the call', async () => {
    const other = google.createRefreshToken({ scopes: [DRIVE] })
    google.script.token.always(({ credential }) =>
      credential === file.refresh_token ? { do: 'html' } : undefined,
    )
    expect((await refresh(google, file)).status).toBe(502)
    expect((await refresh(google, other)).status).toBe(200)
  })
})

describe('an answer that is not Google’s token reply', () => {
  test('refuse gives an entry of the catalogue', async () => {
    const answer = await once({ do: 'refuse', as: 'invalid_rapt' })
    expect(answer.status).toBe(400)
    expect(answer.body).toEqual({
      error: 'invalid_grant',
      error_description: 'reauth related error (invalid_rapt)',
      error_subtype: 'invalid_rapt',
      error_uri: 'https://support.google.com/a/answer/9368756',
    })
    const worded = await once({ do: 'refuse', as: 'scope_audience', description: 'other words' })
    expect(worded.body['error_description']).toBe('other words')
    expect(rotations()).toBe(0)
  })

  test('answer, html, google_error, unavailable and redirect are sent as given', async () => {
    const given = await once({ do: 'answer', status: 418, body: { error: 'x' }, headers: { 'x-y': 'z' } })
    expect([given.status, given.body, given.headers.get('x-y')]).toEqual([418, { error: 'x' }, 'z'])
    const html = await once({ do: 'html' })
    expect([html.status, html.headers.get('content-type')]).toEqual([502, 'text/html; charset=UTF-8'])
    const nested = await once({ do: 'google_error', status: 'UNAVAILABLE', message: 'later' })
    expect(nested.body).toEqual({ error: { code: 503, message: 'later', status: 'UNAVAILABLE' } })
    const busy = await once({ do: 'unavailable', status: 429, retryAfter: 7 })
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([429, '7'])
    const silent = await once({ do: 'unavailable', status: 503 })
    expect([silent.status, silent.headers.get('retry-after')]).toEqual([503, null])
    google.script.token.next(1, { do: 'redirect', to: 'http://127.0.0.1:1/' })
    const moved = await send({ redirect: 'manual' })
    expect([moved.status, moved.headers.get('location')]).toEqual([307, 'http://127.0.0.1:1/'])
    expect(rotations()).toBe(0)
  })

  test('oversize streams as many bytes as told, and stops when the client leaves', async () => {
    const big = await once({ do: 'oversize', bytes: 2 * 1024 * 1024 })
    expect(big.text.length).toBeGreaterThan(2 * 1024 * 1024)
    google.script.token.next(1, { do: 'oversize', bytes: 1024 * 1024 * 1024 })
    const response = await send()
    await response.body?.cancel()
    await expect.poll(() => google.calls.all().at(-1)?.status).toBe(200)
  })

  test('truncate ends in the middle of the JSON, after the refresh token is spent', async () => {
    const answer = await once({ do: 'truncate' })
    expect(answer.status).toBe(200)
    expect(() => {
      JSON.parse(answer.text)
    }).toThrow(SyntaxError)
    expect(rotations()).toBe(1)
  })
})

describe('a connection that fails', () => {
  test('slow answers properly, later', async () => {
    const started = performance.now()
    expect((await once({ do: 'slow', delayMs: 60 })).status).toBe(200)
    expect(performance.now() - started).toBeGreaterThanOrEqual(55)
    expect((await once({ do: 'slow', delayMs: 5, afterwards: { do: 'html' } })).status).toBe(502)
  })

  test.each([
    [false, 0],
    [true, 1],
  ])('hang never answers; processed %s', async (processed, spent) => {
    google.script.token.next(1, { do: 'hang', processed })
    const before = google.calls.count()
    const hanging = send({ signal: AbortSignal.timeout(80) })
    await expect(hanging).rejects.toThrow('timeout')
    expect(google.calls.all().slice(before)).toMatchObject([{ status: undefined }])
    expect(rotations()).toBe(spent)
  })

  test('a hanging request does not keep the stand-in from closing', async () => {
    const other = await startGoogleStandIn()
    other.script.certs.always({ do: 'hang' })
    const hanging = fetch(other.certsUrl).then(
      () => 'answered',
      () => 'broken off',
    )
    await expect.poll(() => other.calls.count()).toBe(1)
    await other.close()
    expect(await hanging).toBe('broken off')
  })

  test('reset breaks before the answer, or in its middle after the refresh token is spent', async () => {
    await expect(once({ do: 'reset', when: 'before_answer' })).rejects.toThrow()
    expect(rotations()).toBe(0)
    google.script.token.next(1, { do: 'reset' })
    expect(await rawPost()).toBe('broken off')
    expect(rotations()).toBe(1)
  })

  function rawPost(): Promise<string> {
    return new Promise((resolve) => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const sent = request(
        google.endpoints.GOOGLE_OAUTH_TOKEN_URL,
        { method: 'POST', headers },
        (response) => {
          response.resume()
          response.once('end', () => resolve('complete'))
          response.once('error', () => resolve('broken off'))
        },
      )
      sent.once('error', () => resolve('broken off'))
      sent.end(form().toString())
    })
  }
})

describe('a lying reply', () => {
  test.each([
    ['expires_in_missing', { expires_in: undefined }],
    ['expires_in_string', { expires_in: '3599' }],
    ['expires_in_zero', { expires_in: 0 }],
    ['expires_in_negative', { expires_in: -1 }],
    ['expires_in_huge', { expires_in: 1e15 }],
    ['expires_in_fraction', { expires_in: 3598.5 }],
    ['expires_in_null', { expires_in: null }],
    ['token_type_missing', { token_type: undefined }],
    ['token_type_mac', { token_type: 'mac' }],
    ['access_token_missing', { access_token: undefined }],
    ['access_token_empty', { access_token: '' }],
    ['access_token_number', { access_token: 42 }],
    ['access_token_control_characters', { access_token: 'ya29.a\r\nX-Injected: 1\u0000' }],
    ['error_member', { error: 'invalid_grant' }],
  ] as const)('%s changes that one thing', async (as, changed: Record<string, unknown>) => {
    const answer = await once({ do: 'lie', as })
    expect(answer.status).toBe(200)
    for (const [name, value] of Object.entries(changed)) expect(answer.body[name]).toEqual(value)
    expect(answer.body['refresh_token']).toBe(google.grant(file.refresh_token)?.current)
  })

  test('wider_scope delivers a token that really carries more, and says so or not', async () => {
    const open = await answerOf(await wider('wider_scope'))
    expect(open.body['scope']).toBe(`${READ} ${CLOUD_PLATFORM}`)
    expect(google.token(accessToken(open))?.scopes).toEqual([READ, CLOUD_PLATFORM])
    file = google.createRefreshToken({ scopes: [DRIVE, READ] })
    const silent = await answerOf(await wider('wider_scope_silently'))
    expect(silent.body).not.toHaveProperty('scope')
    expect(google.token(accessToken(silent))?.scopes).toEqual([READ, CLOUD_PLATFORM])
  })

  async function wider(as: 'wider_scope' | 'wider_scope_silently') {
    google.script.token.next(1, { do: 'lie', as })
    const body = form()
    body.set('scope', READ)
    return send({ body })
  }

  test('content type, status and shape can be wrong', async () => {
    const file = await google.createServiceAccount()
    const ask = async (as: 'content_type_text' | 'json_array' | 'status_201') => {
      google.script.token.next(1, { do: 'lie', as })
      return assert(google, file)
    }
    expect((await ask('content_type_text')).headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect((await ask('json_array')).text).toMatch(/^\[\{"access_token"/)
    expect((await ask('status_201')).status).toBe(201)
  })

  test('amend replaces and removes any member', async () => {
    const answer = await once({ do: 'amend', members: { scope: 'x', token_type: undefined, more: [1] } })
    expect(answer.body).toMatchObject({ scope: 'x', more: [1], expires_in: 3599 })
    expect(answer.body).not.toHaveProperty('token_type')
  })

  test('a refusal is left as it is', async () => {
    google.script.token.next(1, { do: 'lie', as: 'expires_in_zero' })
    const refused = await refresh(google, file, { scope: 'https://www.googleapis.com/auth/calendar' })
    expect(refused.body).toEqual({ error: 'invalid_scope', error_description: 'Bad Request' })
  })
})
