import { describe, expect, test } from 'vitest'
import { createFederatedSource } from '../../../src/adapters/google-identity/federated-identity.ts'
import { createCachedToken } from '../../../src/adapters/google-identity/own-identity.ts'
import { Secret } from '../../../src/domain/secret.ts'
import type { HttpRequest, HttpResult } from '../../../src/ports/http-client.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { answer, createRoutedHttp, failure, type Route } from '../../support/routed-http.ts'
import { poolProvider as provider } from '../../support/signing-key-set.ts'

const stsUrl = 'https://sts.googleapis.com/v1/token'
const iamCredentialsUrl = 'https://iamcredentials.googleapis.com'
const serviceAccount = 'downscope@acme.iam.gserviceaccount.com'
const impersonationUrl = `${iamCredentialsUrl}/v1/projects/-/serviceAccounts/${serviceAccount}:generateAccessToken`
const scope = 'https://www.googleapis.com/auth/datastore'
const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform'
const assertion = `${'h'.repeat(40)}.${'p'.repeat(40)}.${'s'.repeat(40)}`
const whose = "the broker's own identity towards Google: "
const unavailable = { code: 'store_unavailable' }
const containing = (text: string): unknown => expect.stringContaining(text)

describe('the federated identity', () => {
  test('the assertion is exchanged for the scopes alone, at the one provider', async () => {
    const { identity, requests } = open()

    expect((await identity()).reveal()).toBe('federated-1')

    expect(requests).toHaveLength(1)
    const { url, method, timeoutMs, headers, body } = requests[0] ?? fail()
    expect({ url, method, timeoutMs }).toStrictEqual({ url: stsUrl, method: 'POST', timeoutMs: 1000 })
    expect(headers).not.toHaveProperty('authorization')
    expect(Object.fromEntries(new URLSearchParams(body))).toStrictEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: provider,
      scope,
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: assertion,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    })
  })

  test('a service account is impersonated with a token made for that, and gets the scopes alone', async () => {
    const { identity, requests } = open({ serviceAccount })

    expect((await identity()).reveal()).toBe('impersonated-1')

    const [exchange, impersonation] = requests
    expect(requests).toHaveLength(2)
    expect(new URLSearchParams(exchange?.body).get('scope')).toBe(cloudPlatform)
    expect(impersonation).toMatchObject({
      method: 'POST',
      url: impersonationUrl,
      headers: { authorization: 'Bearer federated-1' },
      timeoutMs: 1000,
    })
    expect(JSON.parse(impersonation?.body ?? '')).toStrictEqual({ scope: [scope], lifetime: '3600s' })
  })

  test.each([undefined, serviceAccount])(
    'one token serves until ten minutes before its end (%s)',
    async (account) => {
      const { identity, requests, clock } = open({ serviceAccount: account })
      const first = await identity()
      const calls = requests.length

      await clock.advance(2_998_000)
      expect(await identity()).toBe(first)
      expect(requests).toHaveLength(calls)
      await clock.advance(2000)
      expect((await identity()).reveal()).toMatch(/-2$/)
      expect(requests).toHaveLength(2 * calls)
    },
  )

  test('P20: a token that is not dead serves while the STS is down, and not after', async () => {
    const { identity, clock, route } = open({ serviceAccount })
    const first = await identity()
    route(stsUrl, () => failure('network'))

    await clock.advance(3_500_000)
    expect(await identity()).toBe(first)
    await clock.advance(60_000)
    await expect(identity()).rejects.toMatchObject({ ...unavailable, retryAfter: 2 })
  })

  test('both calls and their repetitions settle within two seconds together', async () => {
    const { identity, requests, clock, route } = open({ serviceAccount })
    const sts = stsRoute()
    const spent: number[] = []
    const spend =
      (ms: number) =>
      async (request: HttpRequest, then: Route): Promise<HttpResult> => {
        const takesMs = Math.min(ms, request.timeoutMs)
        spent.push(takesMs)
        await clock.advance(takesMs)
        return takesMs < ms ? failure('timeout') : then(request)
      }
    const slow = spend(900)
    route(stsUrl, (request) => slow(request, sts))
    route(impersonationUrl, (request) => spend(5000)(request, fail))

    await expect(identity()).rejects.toMatchObject(unavailable)

    expect(spent).toStrictEqual([900, 1000, 100])
    expect(requests).toHaveLength(3)
  })

  test('when nothing is left for impersonation it says so', async () => {
    const { identity, requests, clock, route } = open({ serviceAccount })
    const sts = stsRoute()
    route(stsUrl, async (request) => {
      await clock.advance(1990)
      return sts(request)
    })

    await expect(identity()).rejects.toMatchObject({
      reason: `${whose}POST ${impersonationUrl}: what came before took all of 2000 ms`,
    })
    expect(requests).toHaveLength(1)
  })

  test("P23: the STS's refusal is quoted without the assertion", async () => {
    const { identity, route } = open()
    route(stsUrl, () =>
      answer(
        { error: 'invalid_grant', error_description: `The subject token ${assertion} is invalid.` },
        400,
      ),
    )

    await expect(identity()).rejects.toMatchObject({
      ...unavailable,
      reason: `${whose}Google's STS answered 400 (invalid_grant: The subject token [cut] is invalid.)`,
    })
  })

  test('P23: a refused impersonation names the account and the role that is missing, and no token', async () => {
    const { identity, route } = open({ serviceAccount })
    const token = 'ya29.d.'.padEnd(60, 'x')
    route(stsUrl, () => answer({ access_token: token, token_type: 'Bearer', expires_in: 3599 }))
    route(impersonationUrl, () =>
      answer({ error: { code: 403, message: `Denied to ${token}.`, status: 'PERMISSION_DENIED' } }, 403),
    )

    await expect(identity()).rejects.toMatchObject({
      ...unavailable,
      reason: `${whose}Google's IAM Credentials answered 403 to generateAccessToken for ${serviceAccount} (PERMISSION_DENIED: Denied to [cut]); the federated principal needs roles/iam.workloadIdentityUser on that account`,
    })
  })

  test.each([
    [{ expireTime: '2027-01-15T09:00:00Z' }, 'accessToken'],
    [{ accessToken: 'a b', expireTime: '2027-01-15T09:00:00Z' }, 'accessToken'],
    [{ accessToken: 'hunter2' }, 'expireTime'],
    [{ accessToken: 'hunter2', expireTime: 1_800_003_600 }, 'expireTime'],
    [{ accessToken: 'hunter2', expireTime: '2027-01-15 09:00' }, 'expireTime'],
    [{ accessToken: 'hunter2', expireTime: '2027-13-45T99:00:00Z' }, 'expireTime'],
    [{ accessToken: 'hunter2', expireTime: '2027-01-15T07:59:59Z' }, "past by the broker's clock"],
    ['hunter2', 'accessToken'],
    [[], 'accessToken'],
  ])('an impersonation reply %j is refused by the name of its member', async (body, member) => {
    const { identity, route } = open({ serviceAccount })
    route(impersonationUrl, () => answer(body))

    const error: unknown = await identity().catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ ...unavailable, reason: containing(member) })
    expect(String(error)).not.toContain('hunter2')
  })

  test('P19: an expireTime far away is believed for no longer than was asked for', async () => {
    const { identity, clock, route } = open({ serviceAccount })
    let count = 0
    route(impersonationUrl, () => {
      count += 1
      return answer({ accessToken: `far-${count}`, expireTime: '2029-01-01T00:00:00.5Z' })
    })
    await identity()

    await clock.advance(3_541_000)
    expect((await identity()).reveal()).toBe('far-2')
  })

  test.each([
    [failure('network'), 2],
    [failure('timeout'), 2],
    [answer('', 503), 2],
    [failure('redirect'), 1],
    [answer({ error: 'invalid_target' }, 400), 1],
  ])('trouble at the STS (%j) is asked about %i times and impersonates nobody', async (trouble, times) => {
    const { identity, requests, route } = open({ serviceAccount })
    route(stsUrl, () => trouble)

    await expect(identity()).rejects.toMatchObject(unavailable)
    expect(requests.map(({ url }) => url)).toStrictEqual(Array.from({ length: times }, () => stsUrl))
  })
})

/** An STS and an IAM that give `federated-1`, `federated-2`, `impersonated-1` and so on, an hour each. */
function open({ serviceAccount: account }: { readonly serviceAccount?: string | undefined } = {}) {
  const clock = createFakeClock()
  const { http, requests, route } = createRoutedHttp()
  route(stsUrl, stsRoute())
  let count = 0
  route(impersonationUrl, ({ headers }) => {
    if (headers?.['authorization']?.startsWith('Bearer federated-') !== true) return answer('', 401)
    count += 1
    const expireTime = new Date((clock.now() + 3600) * 1000).toISOString().replace('.000Z', 'Z')
    return answer({ accessToken: `impersonated-${count}`, expireTime })
  })
  const source = createFederatedSource({
    signAssertion: async () => new Secret(assertion),
    provider,
    serviceAccount: account,
    http,
    clock,
    stsUrl,
    iamCredentialsUrl,
  })
  const identity = createCachedToken({
    clock,
    sharesWork: true,
    fetchToken: () => source.accessToken([scope]),
  })
  return { clock, requests, route, identity }
}

function stsRoute(): Route {
  let count = 0
  return ({ body }) => {
    if (new URLSearchParams(body).get('subject_token') !== assertion)
      return answer({ error: 'invalid_grant' }, 400)
    count += 1
    return answer({ access_token: `federated-${count}`, token_type: 'Bearer', expires_in: 3599 })
  }
}

function fail(): never {
  throw new Error('a value was expected')
}
