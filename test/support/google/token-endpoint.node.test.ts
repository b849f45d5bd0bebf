import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf, DRIVE, postForm } from './ask.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

let google: GoogleStandIn
beforeAll(async () => {
  google = await startGoogleStandIn()
})
afterAll(() => google.close())

describe('the request', () => {
  const valid = () => {
    const { client_id, client_secret, refresh_token } = google.createRefreshToken({ scopes: [DRIVE] })
    return { grant_type: 'refresh_token', client_id, client_secret, refresh_token }
  }
  const send = async (init: RequestInit, query = '') =>
    answerOf(await fetch(google.endpoints.GOOGLE_OAUTH_TOKEN_URL + query, init))

  test('a form with a charset is taken', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' }
    const body = new URLSearchParams(valid()).toString()
    expect((await send({ method: 'POST', headers, body })).status).toBe(200)
  })

  test('JSON and a missing content type are refused', async () => {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify(valid())
    expect((await send({ method: 'POST', headers, body })).body['error']).toBe('invalid_request')
    expect((await send({ method: 'POST', body: new Uint8Array([1]) })).body['error']).toBe('invalid_request')
  })

  test('a repeated parameter is refused', async () => {
    const body = new URLSearchParams([...Object.entries(valid()), ['scope', DRIVE], ['scope', DRIVE]])
    const answer = await send({ method: 'POST', body })
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request'])
  })

  test('GET answers the front end’s 404 page, a query string 501', async () => {
    const got = await send({ method: 'GET' })
    expect([got.status, got.headers.get('content-type')]).toEqual([404, 'text/html; charset=UTF-8'])
    const body = new URLSearchParams(valid())
    expect((await send({ method: 'POST', body }, '?scope=x')).status).toBe(501)
  })

  test('an unknown grant type is refused, one of Google’s that is not built answers 501', async () => {
    const url = google.endpoints.GOOGLE_OAUTH_TOKEN_URL
    expect((await postForm(url, { grant_type: 'nonsense' })).body['error']).toBe('unsupported_grant_type')
    expect((await postForm(url, { code: 'x' })).body['error']).toBe('unsupported_grant_type')
    expect((await postForm(url, { grant_type: 'password' })).status).toBe(501)
  })
})
