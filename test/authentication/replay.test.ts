import { beforeAll, describe, expect, it } from 'vitest'
import type { AuthenticateDeps } from '../../src/authentication/authenticate.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { createAuthenticateWorld, trustedIssuer } from '../support/authenticate-world.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createSigner, type Signer } from '../support/signer.ts'

describe('one use of an assertion', () => {
  let signer: Signer
  beforeAll(async () => {
    signer = await createSigner('ES256', 'k1')
  })

  it('P6: a jti is used once, and the next one is another', async () => {
    const world = createAuthenticateWorld()
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    const token = await signer.sign(world.claims(issuer))
    expect(await world.prove(token)).toBeDefined()
    expect((await world.refusal(token)).reason).toMatch(/"jti" of issuer "billing" was used before/)
    expect(await world.prove(await signer.sign(world.claims(issuer)))).toBeDefined()
  })

  it('P6: of 20 concurrent replays exactly one wins, also when the store takes 200 ms', async () => {
    const clock = createFakeClock()
    const store = createSlowMemory(clock, 20)
    const world = createAuthenticateWorld({ clock, rememberOnce: store.rememberOnce })
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    const token = await signer.sign(world.claims(issuer))
    const attempts = Promise.allSettled(Array.from({ length: 20 }, () => world.prove(token)))
    await store.allAsked
    await clock.advance(200)
    const outcomes = await attempts
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'client_assertion_rejected' })
  })

  it('P6: it is remembered until no clock could accept it again', async () => {
    const world = createAuthenticateWorld()
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    const exp = world.clock.now() + 120
    await world.prove(await signer.sign(world.claims(issuer, { exp, jti: 'one' })))
    expect(world.uses).toEqual([{ issuer: 'billing', jti: 'one', until: exp + 60 }])
  })

  it('P6: (issuer, jti) pairs do not collide', async () => {
    const world = createAuthenticateWorld()
    const one = trustedIssuer([signer], { issuer: 'a', name: 'a' })
    const two = trustedIssuer([signer], { issuer: 'a"', name: 'a"' })
    const three = trustedIssuer([signer], { issuer: 'a|b', name: 'a|b' })
    world.trust(one, two, three)
    await world.prove(await signer.sign(world.claims(one, { jti: 'b|c' })))
    await world.prove(await signer.sign(world.claims(three, { jti: 'c' })))
    await world.prove(await signer.sign(world.claims(one, { jti: '"b' })))
    await world.prove(await signer.sign(world.claims(two, { jti: 'b' })))
    expect(new Set(world.uses.map(({ issuer, jti }) => JSON.stringify([issuer, jti]))).size).toBe(4)
  })

  it('P6: no store, no token', async () => {
    const world = createAuthenticateWorld({
      rememberOnce: async () => {
        throw new BrokerError('store_unavailable', { reason: 'as the test wants it' })
      },
    })
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    for (const form of ['client_assertion', 'subject_token', 'admin_bearer'] as const)
      expect((await world.refusal(await signer.sign(world.claims(issuer)), { form })).code).toBe(
        'store_unavailable',
      )
  })

  it('P6: an assertion that expires while the store thinks is not accepted', async () => {
    const clock = createFakeClock()
    const world = createAuthenticateWorld({
      clock,
      rememberOnce: async () => {
        clock.jump(2)
        return true
      },
    })
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    const iat = clock.now() - 100
    const late = await signer.sign(world.claims(issuer, { iat, exp: clock.now() - 58 }))
    expect((await world.refusal(late)).reason).toBe('assertion expired while it was verified')
    expect(await world.prove(await signer.sign(world.claims(issuer)))).toBeDefined()
  })

  it('P6: jti is a string of 1 to 256 characters where it counts', async () => {
    const world = createAuthenticateWorld()
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    for (const jti of [undefined, null, '', 1, ['x'], 'x'.repeat(257)])
      expect((await world.refusal(await signer.sign(world.claims(issuer, { jti })))).reason).toMatch(
        /"jti" is not a string/,
      )
    expect(await world.prove(await signer.sign(world.claims(issuer, { jti: 'x'.repeat(256) })))).toBeDefined()
    world.trust({ ...issuer, replay: 'allowed' })
    expect(await world.prove(await signer.sign(world.claims(issuer, { jti: undefined })))).toBeDefined()
  })

  it('P6: nothing but a good assertion spends a jti', async () => {
    const world = createAuthenticateWorld()
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    const claims = world.claims(issuer)
    const forger = await createSigner('ES256', 'k1')
    await world.refusal(await forger.sign(claims))
    await world.refusal(await signer.sign(claims, { kid: 'unknown' }))
    await world.refusal(await signer.sign({ ...claims, aud: 'https://other.example' }))
    await world.refusal(await signer.sign(claims), { clientId: 'somebody' })
    expect(world.uses).toEqual([])
    expect(await world.prove(await signer.sign(claims))).toBeDefined()
  })
})

/** A store that answers after 200 ms by put-if-absent, and says when it has been asked so often. */
function createSlowMemory(clock: Clock, askers: number) {
  const seen = new Set<string>()
  const all = Promise.withResolvers<void>()
  let asked = 0
  const rememberOnce: AuthenticateDeps['rememberOnce'] = async ({ issuer, jti }) => {
    asked += 1
    const woken = clock.sleep(200)
    if (asked === askers) all.resolve()
    await woken
    const name = JSON.stringify([issuer, jti])
    return !seen.has(name) && seen.add(name) === seen
  }
  return { rememberOnce, allAsked: all.promise }
}
