import { expect, test } from 'vitest'
import type { Grant } from '../../src/domain/grant.ts'
import { Secret } from '../../src/domain/secret.ts'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import { createSendWithRetry } from '../../src/oauth/send-with-retry.ts'
import { createKeyless } from '../../src/minting/mint.ts'
import type { HttpAnswer } from '../../src/ports/http-client.ts'
import type { OwnIdentity } from '../../src/ports/own-identity.ts'
import { createAwaitableBackground, createLogBook } from '../support/quiet.ts'
import { createRoutedHttp, failure } from '../support/routed-http.ts'
import { createSequence, webSha256 } from '../support/sequence.ts'
import { createSkippingClock } from '../support/skipping-clock.ts'

// In either runtime; what Google's endpoints refuse is tested against the stand-in.

const iamCredentialsUrl = 'https://iamcredentials.googleapis.com'
const tokenUrl = 'https://oauth2.googleapis.com/token'
const account = 'reports@acme.iam.gserviceaccount.com'
const accountUrl = `${iamCredentialsUrl}/v1/projects/-/serviceAccounts/${account}`

function open(change: Partial<OwnIdentity> = {}) {
  const clock = createSkippingClock()
  const { http, requests, route } = createRoutedHttp()
  const { log } = createLogBook()
  const background = createAwaitableBackground()
  const ownIdentity: OwnIdentity = {
    actingToken: async (refused) => new Secret(refused === undefined ? 'acting-1' : 'acting-2'),
    accessToken: async () => ({ secret: new Secret('own'), lifetime: seconds(3599) }),
    idToken: async () => new Secret('a.b.c'),
    serviceAccount: async () => account,
    ...change,
  }
  const keyless = createKeyless({
    ask: createSendWithRetry({ http, clock, entropy: createSequence(0.5) }),
    clock,
    sha256: webSha256,
    log,
    background,
    credentials: {
      openSecret: async () => ({
        secret: { kind: 'impersonation', serviceAccount: account, delegates: [] },
        createdAt: epochSeconds(0),
        generation: 1,
      }),
      noteHealth: async () => undefined,
    },
    iamCredentialsUrl,
    tokenUrl,
    shareToken: (_, mint) => mint(),
    mintFrom: () => Promise.reject(new Error('there is no source')),
    ownIdentity,
  })
  return { ...keyless, clock, requests, route }
}

function grantOf(kind: 'impersonation' | 'broker_identity', more: Partial<Grant> = {}): Grant {
  return {
    caller: { issuer: 'https://issuer.example', issuerName: 'i', subject: 's', claims: {} },
    rule: 'r',
    credential: { name: 'it', version: 'v1', kind, upstream: 'google' },
    scopes: ['a'],
    tokenType: 'access_token',
    ...more,
  }
}

function replied(body: object, status = 200): HttpAnswer {
  const header = (name: string) => (name === 'content-type' ? 'application/json' : undefined)
  return { kind: 'answer', status, header, body: JSON.stringify(body) }
}

const inAnHour = (now: number) => new Date((now + 3600) * 1000).toISOString()

test('the request to IAM Credentials is the documented one, and carries the acting token in its header alone', async () => {
  const { byImpersonation, clock, requests, route } = open()
  route(`${accountUrl}:generateAccessToken`, () =>
    replied({ accessToken: 'ya29.it', expireTime: inAnHour(clock.now()) }),
  )
  const minting = byImpersonation(grantOf('impersonation', { lifetime: seconds(900) }), Infinity)
  await expect(minting).rejects.toMatchObject({
    code: 'upstream_nonsense',
    reason: expect.stringContaining('lives 3600 s where 900 s were asked for') as unknown,
  })
  expect(requests).toHaveLength(1)
  expect(requests[0]).toMatchObject({
    method: 'POST',
    url: `${accountUrl}:generateAccessToken`,
    headers: { authorization: 'Bearer acting-1', 'content-type': 'application/json' },
  })
  expect(JSON.parse(requests[0]?.body ?? '')).toEqual({ scope: ['a'], lifetime: '900s', delegates: [] })
})

test('an acting token that is refused is replaced once', async () => {
  const { byImpersonation, clock, requests, route } = open()
  route(`${accountUrl}:generateAccessToken`, ({ headers }) =>
    headers?.['authorization'] === 'Bearer acting-2'
      ? replied({ accessToken: 'ya29.it', expireTime: inAnHour(clock.now()) })
      : replied({ error: { code: 401, status: 'UNAUTHENTICATED', message: 'x' } }, 401),
  )
  expect((await byImpersonation(grantOf('impersonation'), Infinity)).secret.reveal()).toBe('ya29.it')
  expect(requests).toHaveLength(2)
})

test('P20: an IAM Credentials that does not answer is not available, within the time there is', async () => {
  const { byImpersonation, clock, requests, route } = open()
  route(`${accountUrl}:generateAccessToken`, ({ timeoutMs }) => {
    clock.skip(timeoutMs)
    return failure('timeout')
  })
  const startedMs = clock.steadyMs()
  const minting = byImpersonation(grantOf('impersonation'), startedMs + 5000)
  await expect(minting).rejects.toMatchObject({ code: 'upstream_unavailable' })
  expect(clock.steadyMs() - startedMs).toBeLessThanOrEqual(5000)
  expect(requests.length).toBeGreaterThan(1)
})

test('P13: a platform that gives more than was asked gives nothing', async () => {
  const giving = (...scopes: readonly string[]) =>
    open({ accessToken: async () => ({ secret: new Secret('own'), lifetime: seconds(3599), scopes }) })
  const grant = grantOf('broker_identity', { scopes: ['a', 'b'] })

  await expect(giving('a', 'b', 'c').fromBrokerIdentity(grant, Infinity)).rejects.toMatchObject({
    code: 'target_unavailable',
  })
  await expect(giving().fromBrokerIdentity(grant, Infinity)).rejects.toMatchObject({
    code: 'upstream_nonsense',
  })
  expect((await giving('b').fromBrokerIdentity(grant, Infinity)).scopes).toEqual(['b'])
  expect((await giving('b', 'a').fromBrokerIdentity(grant, Infinity)).scopes).toEqual(['a', 'b'])
})
