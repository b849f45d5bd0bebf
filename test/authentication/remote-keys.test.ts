import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { AuthenticateDeps } from '../../src/authentication/authenticate.ts'
import type { TrustedIssuer } from '../../src/domain/policy.ts'
import type { HttpResult } from '../../src/ports/http-client.ts'
import {
  createAuthenticateWorld,
  trustedIssuer,
  type AuthenticateWorld,
} from '../support/authenticate-world.ts'
import { answer, failure } from '../support/routed-http.ts'
import { createSigner, type Signer } from '../support/signer.ts'

const keysUrl = 'https://issuer.example/keys'
const metadataUrl = 'https://issuer.example/.well-known/openid-configuration'
const minute = 60_000

describe('published keys', () => {
  let one: Signer
  let two: Signer
  beforeAll(async () => {
    one = await createSigner('ES256', 'k1')
    two = await createSigner('ES256', 'k2')
  })

  const setUp = (overrides: Partial<AuthenticateDeps> = {}, changes: Partial<TrustedIssuer> = {}) => {
    const world = createAuthenticateWorld(overrides)
    const issuer = trustedIssuer([one], {
      issuer: 'https://issuer.example',
      selfIssued: false,
      keys: { from: 'jwks_uri', url: keysUrl },
      ...changes,
    })
    world.trust(issuer)
    world.route(keysUrl, () => answer(jwks(one)))
    const good = async (signer = one) => world.prove(await signer.sign(world.claims(issuer)))
    const refused = async (signer: Signer, header = {}) =>
      (await world.refusal(await signer.sign(world.claims(issuer), header))).reason
    return { world, issuer, good, refused, fetches: () => world.requests.length }
  }

  describe('in good times', () => {
    it('are fetched once per 5 minutes, with a deadline and a cap', async () => {
      const { world, good, fetches } = setUp()
      for (let minutes = 0; minutes < 5; minutes += 1) {
        await good()
        await world.clock.advance(minute)
      }
      expect(fetches()).toBe(1)
      await good()
      expect(fetches()).toBe(2)
      expect(world.requests[0]).toMatchObject({
        method: 'GET',
        url: keysUrl,
        timeoutMs: 3000,
        maxBytes: 65_536,
      })
    })

    it('are fetched once for all requests that start together', async () => {
      const { good, fetches } = setUp()
      await Promise.all(Array.from({ length: 50 }, () => good()))
      expect(fetches()).toBe(1)
    })

    it('survive a new policy that names the same address', async () => {
      const { world, issuer, good, fetches } = setUp()
      await good()
      world.trust({ ...issuer })
      await good()
      expect(fetches()).toBe(1)
    })

    it('a removed key is dropped at the next look', async () => {
      const { world, good, refused } = setUp()
      await good()
      world.route(keysUrl, () => answer(jwks(two)))
      await world.clock.advance(5 * minute)
      expect(await refused(one)).toMatch(/no key of that name/)
      expect(await good(two)).toBeDefined()
    })

    it('a new key is found by one look more', async () => {
      const { world, good, fetches } = setUp()
      await good()
      await world.clock.advance(30_000)
      world.route(keysUrl, () => answer(jwks(one, two)))
      expect(await good(two)).toBeDefined()
      expect(await good(one)).toBeDefined()
      expect(fetches()).toBe(2)
    })
  })

  describe('under attack', () => {
    const flood = async (
      { world, issuer }: { world: AuthenticateWorld; issuer: TrustedIssuer },
      kids: number,
    ) => {
      const parts = (await two.sign(world.claims(issuer))).split('.')
      for (let number = 0; number < kids; number += 1) {
        const header = btoa(JSON.stringify({ alg: 'ES256', kid: `unknown-${number}` })).replaceAll('=', '')
        await world.refusal(parts.with(0, header).join('.'))
      }
    }

    it('P22: 10,000 unknown kids cause three fetches, then one per 30 s, and the good key stays', async () => {
      const { world, issuer, good, fetches } = setUp()
      await good()
      await flood({ world, issuer }, 9_000)
      expect(fetches()).toBe(3)
      await world.clock.advance(26_000)
      await flood({ world, issuer }, 10)
      expect(fetches()).toBe(3)
      await world.clock.advance(4_000)
      await flood({ world, issuer }, 1_000)
      expect(fetches()).toBe(4)
      expect(await good()).toBeDefined()
      await world.clock.advance(10 * minute)
      await flood({ world, issuer }, 1_000)
      expect(fetches()).toBe(7)
    })

    it('P22: a key signed with at once after it was published is found although strangers sent unknown kids', async () => {
      const { world, issuer, good, fetches } = setUp()
      await good()
      await flood({ world, issuer }, 1)
      world.route(keysUrl, () => answer(jwks(one, two)))
      expect(await good(two)).toBeDefined()
      expect(fetches()).toBe(3)
    })

    it('P22: after the burst an unknown key is told to come back, and within 30 s it is found', async () => {
      const { world, issuer, good, fetches } = setUp()
      await good()
      await flood({ world, issuer }, 100)
      world.route(keysUrl, () => answer(jwks(one, two)))
      const refusal = await world.refusal(await two.sign(world.claims(issuer)))
      expect(refusal).toMatchObject({ code: 'issuer_unavailable', retryAfter: 30 })
      await world.clock.advance(28_000)
      const waiting = good(two)
      await flood({ world, issuer }, 0)
      await world.clock.advance(2_000)
      expect(await waiting).toBeDefined()
      expect(fetches()).toBe(4)
    })

    it('T9: at most 64 requests wait for the keys of an issuer; the others are told to come back at once', async () => {
      const { world, issuer } = setUp()
      const slow = Promise.withResolvers<HttpResult>()
      world.route(keysUrl, () => slow.promise)
      const tokens = await Promise.all(Array.from({ length: 70 }, () => one.sign(world.claims(issuer))))
      let waiting = tokens.length
      const outcomes = tokens.map((token) =>
        world
          .prove(token)
          .catch((error: unknown) => error)
          .finally(() => void (waiting -= 1)),
      )
      await vi.waitFor(() => expect(waiting).toBe(65))
      slow.resolve(answer(jwks(one)))
      const refused = (await Promise.all(outcomes)).filter((outcome) => outcome instanceof Error)
      expect(refused).toHaveLength(5)
      expect(refused[0]).toMatchObject({ code: 'issuer_unavailable', retryAfter: 1 })
    })

    it('T9: once keys were read a look that fails refuses a token of an unknown key, as after any look', async () => {
      const { world, issuer, good } = setUp()
      await good()
      world.route(keysUrl, () => failure('network'))
      expect((await world.refusal(await two.sign(world.claims(issuer)))).code).toBe(
        'client_assertion_rejected',
      )
    })

    it.each<[string, () => HttpResult]>([
      ['an empty set', () => answer({ keys: [] })],
      ['an error', () => answer(jwks(one, two), 500)],
      ['a timeout', () => failure('timeout')],
      ['a redirect', () => answer('', 302)],
      ['too much', () => answer(' '.repeat(65_537))],
      ['nonsense', () => answer('<html>')],
      ['no keys', () => answer({})],
      ['twice the same member', () => answer(`{"keys":[],${JSON.stringify(jwks(one)).slice(1)}`)],
    ])(
      'P22: with %s in place of keys, there is no token, at three fetches and then one per 30 s',
      async (_what, reply) => {
        const { world, issuer, refused, fetches } = setUp()
        world.route(keysUrl, reply)
        await flood({ world, issuer }, 300)
        expect(fetches()).toBe(3)
        expect(await refused(two)).toMatch(/keys are unavailable/)
        expect(world.uses).toEqual([])
        expect(world.logs.length).toBeLessThanOrEqual(3)
        await world.clock.advance(30_000)
        await flood({ world, issuer }, 300)
        expect(fetches()).toBe(4)
      },
    )

    it('P22: where keys were never read, a forged and a good token are told to come back', async () => {
      const { world, issuer, good } = setUp()
      world.route(keysUrl, () => failure('network'))
      const refusal = await world.refusal(await two.sign(world.claims(issuer), { kid: 'k1' }))
      expect(refusal).toMatchObject({ code: 'issuer_unavailable', retryAfter: 1 })
      expect(refusal.reason).toMatch(/keys are unavailable/)
      world.route(keysUrl, () => answer(jwks(one)))
      expect(await good()).toBeDefined()
    })

    it('P9: nothing is fetched for a token whose issuer, claims, type or algorithm are wrong', async () => {
      const { world, issuer, good, refused } = setUp()
      for (const changes of [
        { iss: 'https://other.example' },
        { aud: 'x' },
        { exp: 1 },
        { sub: '' },
        { iat: 'now' },
      ])
        await world.refusal(await one.sign(world.claims(issuer, changes)))
      await refused(one, { typ: 'at+jwt' })
      await refused(one, { alg: 'RS256' })
      await refused(one, { alg: 'none' })
      await refused(one, { jku: keysUrl })
      expect(world.requests).toEqual([])
      await good()
      expect(world.requests).toHaveLength(1)
    })

    it('P9: an unknown kid of an issuer with keys in the policy fetches nothing', async () => {
      const { world, refused } = setUp({}, { keys: { from: 'inline', keys: [one.jwk] } })
      expect(await refused(one, { kid: 'unknown' })).toMatch(/no key of that name/)
      expect(world.requests).toEqual([])
    })
  })

  describe('while the issuer is down', () => {
    it('P22: keys at hand serve for an hour, at one try per 30 s, and no longer', async () => {
      const { world, good, refused, fetches } = setUp()
      await good()
      world.route(keysUrl, () => failure('timeout'))
      await world.clock.advance(59 * minute)
      for (let times = 0; times < 20; times += 1) await good()
      expect(fetches()).toBe(2)
      expect(await refused(two, { kid: 'k1' })).toMatch(/does not verify/)
      await world.clock.advance(minute)
      expect(await refused(one)).toMatch(/keys are unavailable/)
      world.route(keysUrl, () => answer(jwks(one)))
      await world.clock.advance(30_000)
      expect(await good()).toBeDefined()
    })

    it('a slow issuer holds up one request; the others go on with the keys at hand', async () => {
      const { world, good } = setUp()
      await good()
      await world.clock.advance(5 * minute)
      const slow = Promise.withResolvers<HttpResult>()
      const asked = Promise.withResolvers<void>()
      world.route(keysUrl, () => {
        asked.resolve()
        return slow.promise
      })
      const first = good()
      await asked.promise
      expect(await good()).toBeDefined()
      slow.resolve(answer(jwks(one)))
      expect(await first).toBeDefined()
    })

    it('on Workers a request whose look died with another request looks again by itself', async () => {
      const { world, good, fetches } = setUp({ sharesWork: false })
      const asked = Promise.withResolvers<void>()
      world.route(keysUrl, () => {
        asked.resolve()
        return new Promise(() => {})
      })
      void good()
      await asked.promise
      world.route(keysUrl, () => answer(jwks(one)))
      await world.clock.advance(11_000)
      expect(await good()).toBeDefined()
      expect(fetches()).toBe(2)
    })

    it('on Workers a refusal after the burst comes at once, without another look and without waiting', async () => {
      const { world, refused, fetches } = setUp({ sharesWork: false })
      world.route(keysUrl, () => failure('network'))
      // The clock stands still: whoever waited for a look that is over would wait for ever.
      for (let times = 0; times < 4; times += 1) expect(await refused(one)).toMatch(/keys are unavailable/)
      expect(fetches()).toBe(3)
    })
  })

  describe('as a set', () => {
    it('P2: a key that cannot be used is skipped and logged once, not per request', async () => {
      const { world, good } = setUp()
      const bad = [
        { kty: 'oct', k: 'AAAA', kid: 'k3' },
        { ...two.jwk, crv: 'P-384' },
        'x',
        { ...two.jwk, d: 'AAAA' },
      ]
      world.route(keysUrl, () => answer({ keys: [...bad, one.jwk] }))
      for (let times = 0; times < 5; times += 1) {
        await good()
        await world.clock.advance(5 * minute)
      }
      expect(world.logs).toHaveLength(1)
      expect(world.logs[0]).toMatch(/skipped.*key 0.*key 1.*key 2.*key 3/)
    })

    it('P2: a key for another use is not ours to report, unless there is no other', async () => {
      const { world, good, refused } = setUp()
      world.route(keysUrl, () => answer({ keys: [{ ...two.jwk, use: 'enc' }, one.jwk] }))
      await good()
      expect(await refused(two)).toMatch(/no key of that name/)
      expect(world.logs).toEqual([])
      world.route(keysUrl, () => answer({ keys: [{ ...one.jwk, use: 'jwt-svid' }] }))
      await world.clock.advance(5 * minute)
      expect(await refused(one)).toMatch(/no key of that name/)
      expect(world.logs.join()).toMatch(/all keys: they are for .*jwt-svid.* and not .*sig/)
    })

    it('P2: of a SPIFFE trust bundle the keys of use jwt-svid count, and no others, where the entry says so', async () => {
      const { good, refused, world } = setUp(
        {},
        { keys: { from: 'jwks_uri', url: keysUrl, use: 'jwt-svid' } },
      )
      world.route(keysUrl, () =>
        answer({
          keys: [
            { ...one.jwk, use: 'jwt-svid' },
            { ...two.jwk, use: 'x509-svid' },
          ],
        }),
      )
      expect(await good()).toBeDefined()
      expect(await refused(two)).toMatch(/no key of that name/)
      world.route(keysUrl, () => answer(jwks(one)))
      await world.clock.advance(5 * minute)
      expect(await refused(one)).toMatch(/no key of that name/)
    })

    it('P2: two keys of one kid are both refused', async () => {
      const { world, good, refused } = setUp()
      world.route(keysUrl, () => answer({ keys: [one.jwk, { ...two.jwk, kid: 'k1' }, two.jwk] }))
      expect(await refused(one)).toMatch(/no key of that name/)
      expect(await good(two)).toBeDefined()
      expect(world.logs.join()).toMatch(/it must be unique/)
    })

    it.each([
      'http://issuer.example/keys',
      'ftp://issuer.example/keys',
      'https://a@issuer.example/keys',
      'https://:b@issuer.example/keys',
      'nonsense',
    ])('P9: is not fetched from %s', async (url) => {
      const { world, refused } = setUp({}, { keys: { from: 'jwks_uri', url } })
      expect(await refused(one)).toMatch(/keys are unavailable/)
      expect(world.requests).toEqual([])
    })
  })

  describe('found by discovery', () => {
    const discovery = () => {
      const scene = setUp({}, { keys: { from: 'discovery', url: metadataUrl } })
      const publish = (metadata: Readonly<Record<string, unknown>>) =>
        scene.world.route(metadataUrl, () =>
          answer({ issuer: 'https://issuer.example', jwks_uri: keysUrl, ...metadata }),
        )
      return { ...scene, publish }
    }

    it('are those that the metadata of exactly this issuer names', async () => {
      const { world, good, publish } = discovery()
      publish({})
      await good()
      expect(world.requests.map(({ url }) => url)).toEqual([metadataUrl, keysUrl])
    })

    it.each([
      { issuer: 'https://issuer.example/' },
      { issuer: undefined },
      { jwks_uri: undefined },
      { jwks_uri: 'http://issuer.example/keys' },
      { jwks_uri: 'http://127.0.0.1/keys' },
      { jwks_uri: 'file:///keys' },
    ])('P9: are not taken from metadata that says %j', async (metadata) => {
      const { world, good, refused, publish } = discovery()
      publish(metadata)
      expect(await refused(one)).toMatch(/keys are unavailable/)
      expect(world.requests).toHaveLength(1)
      publish({})
      await world.clock.advance(30_000)
      expect(await good()).toBeDefined()
    })

    it.each(['<!doctype html><title>Sign in</title>', '', '[]', '{"issuer":', 'null'])(
      'P9: are unavailable where the metadata is %j',
      async (text) => {
        const { world, refused, fetches } = discovery()
        world.route(metadataUrl, () => answer(text))
        expect(await refused(one)).toMatch(/keys are unavailable/)
        expect(world.logs.join()).toMatch(/the metadata/)
        expect(fetches()).toBe(1)
      },
    )

    it('on this machine they may be fetched without TLS, for tests', async () => {
      const { world, issuer, good } = discovery()
      const local = 'http://127.0.0.1:9/.well-known/openid-configuration'
      world.trust({ ...issuer, keys: { from: 'discovery', url: local } })
      world.route(local, () => answer({ issuer: issuer.issuer, jwks_uri: 'http://localhost:9/keys' }))
      world.route('http://localhost:9/keys', () => answer(jwks(one)))
      expect(await good()).toBeDefined()
    })
  })
})

function jwks(...signers: readonly Signer[]): { readonly keys: readonly unknown[] } {
  return { keys: signers.map(({ jwk }) => jwk) }
}
