import { describe, expect, test } from 'vitest'
import { createOwnIdentity, type IdentitySource } from '../../../src/adapters/google-identity/own-identity.ts'
import { BrokerError } from '../../../src/domain/broker-error.ts'
import { Secret } from '../../../src/domain/secret.ts'
import { seconds } from '../../../src/domain/time.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { answer, createRoutedHttp } from '../../support/routed-http.ts'

const tokeninfoUrl = 'https://oauth2.googleapis.com/tokeninfo'
const token = new Secret('ya29.the-token')
const failing = (code: 'store_unavailable' | 'target_unavailable') => () =>
  Promise.reject(new BrokerError(code, { reason: 'why', retryAfter: seconds(2) }))

function open(change: Partial<IdentitySource> = {}, info: unknown = { scope: 'b a' }) {
  const { http, requests, route } = createRoutedHttp()
  route(tokeninfoUrl, () => answer(info))
  const source: IdentitySource = {
    respectsScopes: false,
    accessToken: async () => ({ token, lifetime: seconds(3599) }),
    idToken: async () => new Secret('a.b.c'),
    serviceAccount: async () => 'me@acme.iam.gserviceaccount.com',
    ...change,
  }
  const identity = createOwnIdentity({
    source,
    acting: async () => token,
    http,
    clock: createFakeClock(),
    tokeninfoUrl,
  })
  return { identity, requests }
}

describe('the broker as something to mint from', () => {
  test('P23: Google is shown the token in a header, never in an address or a form', async () => {
    const { identity, requests } = open()

    expect(await identity.accessToken(['a'])).toEqual({ secret: token, lifetime: 3599, scopes: ['a', 'b'] })

    expect(requests).toHaveLength(1)
    expect(requests[0]).toMatchObject({
      method: 'POST',
      url: tokeninfoUrl,
      headers: { authorization: 'Bearer ya29.the-token' },
      body: '',
    })
  })

  test('a source that gives what it is asked for is believed', async () => {
    const { identity, requests } = open({ respectsScopes: true })

    expect(await identity.accessToken(['a'])).toEqual({ secret: token, lifetime: 3599 })
    expect(requests).toHaveLength(0)
  })

  test.each([{}, { scope: 7 }, { scope: 'a "b"' }, 'a'])(
    'P13: tokeninfo that says %j says nothing',
    async (info) => {
      await expect(open({}, info).identity.accessToken(['a'])).rejects.toMatchObject({
        code: 'upstream_unavailable',
      })
    },
  )

  test('a failure is one of the upstream, and what can never be stays that', async () => {
    const passing = open({ accessToken: failing('store_unavailable'), idToken: failing('store_unavailable') })
    const never = open({
      idToken: failing('target_unavailable'),
      serviceAccount: failing('target_unavailable'),
    })

    const unavailable = { code: 'upstream_unavailable', reason: 'why', retryAfter: 2 }
    await expect(passing.identity.accessToken(['a'])).rejects.toMatchObject(unavailable)
    await expect(passing.identity.idToken('x')).rejects.toMatchObject(unavailable)
    await expect(never.identity.idToken('x')).rejects.toMatchObject({ code: 'target_unavailable' })
    await expect(never.identity.serviceAccount()).rejects.toMatchObject({ code: 'target_unavailable' })
  })
})
