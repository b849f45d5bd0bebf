import { describe, expect, test } from 'vitest'
import {
  createCachedToken,
  createMetadataSource,
} from '../../../src/adapters/google-identity/own-identity.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { answer, createRoutedHttp, type Route } from '../../support/routed-http.ts'

const scope = 'https://www.googleapis.com/auth/datastore'
const flavour = { 'metadata-flavor': 'Google' }
const containing = (text: string): unknown => expect.stringContaining(text)
const unavailable = { code: 'store_unavailable' }

describe('the identity of the metadata server', () => {
  test('the token is asked for where the real one answers, for the scopes alone', async () => {
    const { identity, requests } = open()

    expect((await identity()).reveal()).toBe('token-1')
    expect((await identity()).reveal()).toBe('token-1')

    expect(requests).toHaveLength(1)
    expect(requests[0]).toMatchObject({
      method: 'GET',
      url: `http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(scope)}`,
      headers: { 'metadata-flavor': 'Google' },
    })
  })

  test('another host is asked when one is named', async () => {
    const { identity, requests } = open({ host: '127.0.0.1:8090' })
    await identity()

    expect(requests[0]?.url).toMatch(/^http:\/\/127\.0\.0\.1:8090\/computeMetadata\/v1\//)
  })

  test('an answer without the flavour of Google is no token', async () => {
    const { identity, answerWith } = open()
    answerWith(() => answer({ access_token: 'a', token_type: 'Bearer', expires_in: 3599 }))

    await expect(identity()).rejects.toMatchObject({
      ...unavailable,
      reason: containing("is not Google's metadata server"),
    })
  })

  test('a token the server has held for long is used, and asked for again in time', async () => {
    const { identity, requests, clock, answerWith } = open()
    answerWith(() => answer({ access_token: 'old', token_type: 'Bearer', expires_in: 299 }, 200, flavour))

    expect((await identity()).reveal()).toBe('old')
    await clock.advance(140_000)
    expect((await identity()).reveal()).toBe('old')
    expect(requests).toHaveLength(1)
    await clock.advance(20_000)
    await identity()
    expect(requests).toHaveLength(2)
  })

  test.each([
    ['identity?audience=https%3A%2F%2Fa.example&format=full', 'a.b.c'],
    ['email', 'reports@acme.iam.gserviceaccount.com'],
  ])('what comes with a refusal is not taken for the answer: %s', async (path, text) => {
    const { http, route } = createRoutedHttp()
    const account = 'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default'
    route(`${account}/${path}`, () => answer(text, 404, flavour))
    const source = createMetadataSource({ http, clock: createFakeClock() })
    const asked = path === 'email' ? source.serviceAccount() : source.idToken('https://a.example')

    await expect(asked).rejects.toMatchObject({ ...unavailable, reason: containing('Google answered 404') })
  })

  test.each([403, 404, 500])('a refusal %i says whose identity', async (status) => {
    const { identity, answerWith } = open()
    answerWith(() => answer('no', status, flavour))

    await expect(identity()).rejects.toMatchObject({
      ...unavailable,
      reason: `the broker's own identity towards Google: Google answered ${status}`,
    })
  })
})

/** A metadata server that gives `token-1`, `token-2` and so on, an hour each, unless it is told otherwise. */
function open({ host }: { readonly host?: string } = {}) {
  const clock = createFakeClock()
  const { http, requests, route } = createRoutedHttp()
  const url = `http://${host ?? 'metadata.google.internal'}/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(scope)}`
  const answerWith = (answering: Route) => route(url, answering)
  answerWith(() =>
    answer(
      { access_token: `token-${requests.length}`, token_type: 'Bearer', expires_in: 3600 },
      200,
      flavour,
    ),
  )
  const source = createMetadataSource({ http, clock, ...(host === undefined ? {} : { host }) })
  const fetchToken = () => source.accessToken([scope])
  return { clock, requests, answerWith, identity: createCachedToken({ clock, sharesWork: true, fetchToken }) }
}
