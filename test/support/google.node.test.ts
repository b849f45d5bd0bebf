import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessToken, assert, callJson, DRIVE, postForm, READ, refresh } from './google/ask.ts'
import { type GoogleStandIn, startGoogleStandIn } from './google/stand-in.ts'

let google: GoogleStandIn
beforeAll(async () => {
  google = await startGoogleStandIn()
})
afterAll(() => google.close())

describe('the stand-in as a server', () => {
  test('a route it does not implement answers 501 and names the route', async () => {
    const answer = await callJson(`${google.origin}/storage/v1/b`, { method: 'GET' })
    expect(answer.status).toBe(501)
    expect(answer.text).toContain('GET /storage/v1/b')
  })

  test('a path with broken percent-encoding answers 501 and harms nothing', async () => {
    expect((await callJson(`${google.origin}/%zz`, { method: 'GET' })).status).toBe(501)
    const url = `${google.endpoints.GOOGLE_IAM_URL}/v1/projects/-/serviceAccounts/%zz/keys`
    expect((await callJson(url, { method: 'GET' })).status).toBe(401)
  })

  test('a port can be chosen, and a taken one rejects', async () => {
    const port = Number(new URL(google.origin).port)
    await expect(startGoogleStandIn({ port })).rejects.toThrow('EADDRINUSE')
    const other = await startGoogleStandIn()
    await other.close()
    const again = await startGoogleStandIn({ port: Number(new URL(other.origin).port) })
    expect(again.origin).toBe(other.origin)
    await again.close()
  })

  test('what goes down comes back on the same port and remembers', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    await google.goDown()
    await expect(refresh(google, file)).rejects.toThrow()
    await google.comeBack()
    expect((await refresh(google, file)).status).toBe(200)
  })
})

describe('what a token carries', () => {
  test('is told for every issued token and for no other', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE, READ], user: 'ann@acme.example' })
    const value = accessToken(await refresh(google, file, { scope: DRIVE }))
    expect(google.token(value)).toMatchObject({
      kind: 'user',
      scopes: [DRIVE],
      subject: 'ann@acme.example',
      grant: file.refresh_token,
      revoked: false,
    })
    expect(google.tokens().at(-1)?.value).toBe(value)
    expect(google.token('ya29.never')).toBeUndefined()
  })

  test('an opaque access token has the looks and the size of Google’s', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    expect(accessToken(await refresh(google, file))).toMatch(/^ya29\.[A-Za-z0-9_-]{190,220}$/)
  })

  test('an ID token verifies against the certs endpoint', async () => {
    const file = google.createRefreshToken({ scopes: ['openid', 'email'] })
    const { body } = await refresh(google, file)
    const verified = await jwtVerify(String(body['id_token']), createRemoteJWKSet(new URL(google.certsUrl)))
    expect(verified.payload).toMatchObject({
      iss: 'https://accounts.google.com',
      aud: file.client_id,
      email: 'user@acme.example',
    })
    expect(google.token(String(body['id_token']))).toMatchObject({
      kind: 'id_token',
      audience: file.client_id,
    })
  })
})

describe('time', () => {
  test('issue and expiry follow the injected clock and the tuned lifetime', async () => {
    let now = 1_800_000_000
    const other = await startGoogleStandIn({ now: () => now, tokenLifetime: 100 })
    const file = other.createRefreshToken({ scopes: [DRIVE] })
    const first = await refresh(other, file)
    expect(first.body['expires_in']).toBe(100)
    expect(other.token(accessToken(first))).toMatchObject({ issuedAt: now, expiresAt: now + 100 })
    other.tune({ tokenLifetime: 3599 })
    now += 50
    expect((await refresh(other, file)).body['expires_in']).toBe(3599)
    const info = `${other.tokeninfoUrl}?access_token=${accessToken(first)}`
    expect((await callJson(info, { method: 'GET' })).body['expires_in']).toBe('50')
    now += 50
    expect((await callJson(info, { method: 'GET' })).body).toEqual({
      error: 'invalid_token',
      error_description: 'Invalid Value',
    })
    await other.close()
  })
})

describe('the log of calls', () => {
  test('holds endpoint, grant, credential, parameters, time and status, and forgets on reset', async () => {
    google.calls.reset()
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    await refresh(google, file, { scope: READ })
    expect(google.calls.all()).toMatchObject([
      {
        endpoint: 'token',
        method: 'POST',
        path: '/token',
        grant: 'refresh_token',
        credential: file.refresh_token,
        params: { scope: READ },
        status: 400,
      },
    ])
    expect(google.calls.count({ credential: file.refresh_token, status: 400 })).toBe(1)
    expect(google.calls.count({ status: 200 })).toBe(0)
    expect(google.calls.where((call) => call.params['scope'] === READ)).toHaveLength(1)
    google.calls.reset()
    expect(google.calls.count()).toBe(0)
  })

  test('a rotated refresh token and a service account keep their name', async () => {
    google.calls.reset()
    const file = google.createRefreshToken({ scopes: [DRIVE], rotating: true })
    const { body } = await refresh(google, file)
    await refresh(google, { ...file, refresh_token: String(body['refresh_token']) })
    const account = await google.createServiceAccount()
    await assert(google, account)
    expect(google.calls.count({ credential: file.refresh_token })).toBe(2)
    expect(google.calls.count({ credential: account.client_email, grant: 'jwt-bearer' })).toBe(1)
  })

  test('the high-water mark counts what was in flight at once, per credential', async () => {
    google.calls.reset()
    const [one, other] = [1, 2].map(() => google.createRefreshToken({ scopes: [DRIVE] }))
    if (!one || !other) throw new Error('two files')
    google.script.token.always({ do: 'slow', delayMs: 40 })
    await Promise.all([
      refresh(google, one),
      refresh(google, one),
      refresh(google, one),
      refresh(google, other),
    ])
    await refresh(google, other)
    google.clearScripts()
    expect(google.calls.highWater()).toBe(4)
    expect(google.calls.highWater({ credential: one.refresh_token })).toBe(3)
    expect(google.calls.highWater({ credential: other.refresh_token })).toBe(1)
    expect(google.calls.highWater({ credential: 'nobody' })).toBe(0)
  })
})

describe('tokeninfo', () => {
  test('tells numbers and booleans as strings, by query, form or header', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE, 'email'] })
    const value = accessToken(await refresh(google, file))
    const byQuery = await callJson(`${google.tokeninfoUrl}?access_token=${value}`, { method: 'GET' })
    const byForm = await postForm(google.tokeninfoUrl, { access_token: value })
    const byHeader = await callJson(google.tokeninfoUrl, { bearer: value })
    for (const { status, body } of [byQuery, byForm, byHeader]) {
      expect(status).toBe(200)
      expect(body).toMatchObject({ aud: file.client_id, email_verified: 'true', access_type: 'offline' })
      expect(body['expires_in']).toMatch(/^[0-9]+$/)
    }
  })

  test('a revoked token is not accepted, before it was', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    const value = accessToken(await refresh(google, file))
    expect((await postForm(google.tokeninfoUrl, { access_token: value })).status).toBe(200)
    google.setGrantState(file.refresh_token, 'revoked')
    expect((await postForm(google.tokeninfoUrl, { access_token: value })).status).toBe(400)
  })

  test('a refresh token is not accepted', async () => {
    const file = google.createRefreshToken({ scopes: [DRIVE] })
    const { status, body } = await postForm(google.tokeninfoUrl, { access_token: file.refresh_token })
    expect([status, body['error']]).toEqual([400, 'invalid_token'])
  })
})
