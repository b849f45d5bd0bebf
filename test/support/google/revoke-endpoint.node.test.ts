import { afterAll, beforeAll, expect, test } from 'vitest'
import { accessToken, assert, DRIVE, postForm, refresh } from './ask.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

let google: GoogleStandIn
beforeAll(async () => {
  google = await startGoogleStandIn()
})
afterAll(() => google.close())

const revoke = (token: string) => postForm(google.endpoints.GOOGLE_REVOKE_URL, { token })

test.each(['refresh token', 'access token'])('revoking a %s kills the whole grant', async (which) => {
  const file = google.createRefreshToken({ scopes: [DRIVE] })
  const bystander = google.createRefreshToken({ scopes: [DRIVE] })
  const [one, other] = [accessToken(await refresh(google, file)), accessToken(await refresh(google, file))]
  const answer = await revoke(which === 'refresh token' ? file.refresh_token : one)
  expect([answer.status, answer.body]).toEqual([200, {}])
  expect([google.token(one)?.revoked, google.token(other)?.revoked]).toEqual([true, true])
  expect((await refresh(google, file)).body['error_description']).toBe('Token has been expired or revoked.')
  expect((await refresh(google, bystander)).status).toBe(200)
})

test('an unknown or dead token is refused', async () => {
  const file = google.createRefreshToken({ scopes: [DRIVE] })
  expect((await revoke(file.refresh_token)).status).toBe(200)
  for (const token of ['1//0unknown', file.refresh_token]) {
    const { status, body } = await revoke(token)
    expect(status).toBe(400)
    expect(body).toEqual({ error: 'invalid_token', error_description: 'Token expired or revoked' })
  }
})

test('a spent rotating refresh token revokes nothing, the current one does', async () => {
  const file = google.createRefreshToken({ scopes: [DRIVE], rotating: true })
  const { body } = await refresh(google, file)
  expect((await revoke(file.refresh_token)).body['error']).toBe('invalid_token')
  expect(google.grant(file.refresh_token)?.state).toBe('live')
  expect((await revoke(String(body['refresh_token']))).status).toBe(200)
})

test('a service account’s token is not revocable and lives on', async () => {
  const value = accessToken(await assert(google, await google.createServiceAccount()))
  expect((await revoke(value)).status).toBe(400)
  expect(google.token(value)?.revoked).toBe(false)
})

test('a token in the query string is not read', async () => {
  const file = google.createRefreshToken({ scopes: [DRIVE] })
  const url = `${google.endpoints.GOOGLE_REVOKE_URL}?token=${encodeURIComponent(file.refresh_token)}`
  expect((await postForm(url, {})).status).toBe(501)
  expect(google.grant(file.refresh_token)?.state).toBe('live')
})
