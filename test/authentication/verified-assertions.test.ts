import { beforeAll, describe, expect, it } from 'vitest'
import { createVerifiedAssertions } from '../../src/authentication/verify-signature.ts'
import { seconds } from '../../src/domain/time.ts'
import { createAuthenticateWorld, sha256, trustedIssuer } from '../support/authenticate-world.ts'
import { answer } from '../support/routed-http.ts'
import { createSigner, type Signer } from '../support/signer.ts'

const keysUrl = 'https://issuer.example/keys'

describe('the memory of verified assertions', () => {
  let one: Signer
  let two: Signer
  beforeAll(async () => {
    one = await createSigner('ES256', 'k1')
    two = await createSigner('ES256', 'k2')
  })

  const setUp = async () => {
    const digests = { count: 0 }
    const world = createAuthenticateWorld({
      sha256: (text) => {
        digests.count += 1
        return sha256(text)
      },
    })
    const issuer = trustedIssuer([one], { replay: 'allowed', lifetimeMax: seconds(3600) })
    world.trust(issuer)
    const token = await one.sign(world.claims(issuer, { exp: world.clock.now() + 3000 }))
    return { world, issuer, token, digests }
  }

  it('serves the same token again, with the same caller', async () => {
    const { world, token } = await setUp()
    const first = await world.prove(token)
    const second = await world.prove(token)
    expect(second).toEqual(first)
    // The very claims object: the token was not taken apart again.
    expect(second.claims).toBe(first.claims)
  })

  it('P1: a token that differs in one character is another token', async () => {
    const { world, token } = await setUp()
    await world.prove(token)
    const parts = token.split('.')
    const signature = (parts[2] ?? '').replace(/^./, (char) => (char === 'A' ? 'B' : 'A'))
    expect((await world.refusal(parts.with(2, signature).join('.'))).reason).toMatch(/does not verify/)
  })

  it('P5: a remembered token expires like any other, and is not yet valid after the clock went back', async () => {
    const { world, token } = await setUp()
    await world.prove(token)
    world.clock.jump(-3600)
    expect((await world.refusal(token)).reason).toMatch(/ahead/)
    world.clock.jump(3600 + 3000 + 60)
    expect((await world.refusal(token)).reason).toMatch(/expired/)
  })

  it('P8: a remembered client assertion does not become a token of another form', async () => {
    const { world, issuer } = await setUp()
    const typed = await one.sign(world.claims(issuer), { typ: 'client-authentication+jwt' })
    await world.prove(typed)
    expect((await world.refusal(typed, { form: 'subject_token' })).reason).toMatch(/another kind/)
    expect((await world.refusal(typed, { clientId: 'other' })).reason).toMatch(/client_id/)
  })

  it('P6: a token of an issuer with replay once is never remembered', async () => {
    const { world, issuer, digests } = await setUp()
    world.trust({ ...issuer, replay: 'once' })
    const once = await one.sign(world.claims(issuer))
    await world.prove(once)
    expect((await world.refusal(once)).reason).toMatch(/used before/)
    expect(digests.count).toBe(0)
  })

  it('P6: a token remembered before the policy said once is used once from then on', async () => {
    const { world, issuer, token } = await setUp()
    await world.prove(token)
    world.trust({ ...issuer, replay: 'once' })
    expect(await world.prove(token)).toBeDefined()
    expect((await world.refusal(token)).reason).toMatch(/used before/)
  })

  it('ends with the issuer, its audience and its keys', async () => {
    const { world, issuer, token } = await setUp()
    await world.prove(token)
    world.trust()
    expect((await world.refusal(token)).reason).toMatch(/not in policy/)
    world.trust({ ...issuer, audiences: ['https://other.example'] })
    expect((await world.refusal(token)).reason).toMatch(/"aud"/)
    world.trust({ ...issuer, algorithms: ['RS256'] })
    expect((await world.refusal(token)).reason).toMatch(/algorithm/)
    world.trust({ ...issuer, keys: { from: 'inline', keys: [{ ...two.jwk, kid: 'k1' }] } })
    expect((await world.refusal(token)).reason).toMatch(/does not verify/)
    world.trust(issuer)
    expect(await world.prove(token)).toBeDefined()
  })

  it('dies with a key that the issuer no longer publishes', async () => {
    const { world, issuer } = await setUp()
    const remote = { ...issuer, keys: { from: 'jwks_uri', url: keysUrl } } as const
    world.trust(remote)
    world.route(keysUrl, () => answer({ keys: [one.jwk, two.jwk] }))
    const token = await one.sign(world.claims(remote, { exp: world.clock.now() + 3000 }))
    const first = await world.prove(token)
    await world.clock.advance(300_000)
    expect((await world.prove(token)).claims).toBe(first.claims)
    world.route(keysUrl, () => answer({ keys: [two.jwk] }))
    await world.clock.advance(300_000)
    expect((await world.refusal(token)).reason).toMatch(/no key of that name/)
  })

  it('P1: a refused token is not remembered', async () => {
    const { world, issuer, digests } = await setUp()
    const forged = await two.sign(world.claims(issuer), { kid: 'k1' })
    await world.refusal(forged)
    expect((await world.refusal(forged)).reason).toMatch(/does not verify/)
    expect(digests.count).toBe(0)
  })

  it('P24: is bounded by entries and by size, oldest use first', async () => {
    const { world, issuer, token } = await setUp()
    const memory = createVerifiedAssertions((text) => text.slice(0, 20))
    const jws = { header: { alg: 'ES256', kid: 'k1', typ: 'JWT' }, claims: world.claims(issuer) }
    const entry = { jws, issuer, keys: { keys: [] } }
    for (let number = 0; number < 10_001; number += 1) await memory.remember(`token-${number}`, entry)
    expect(await memory.find('token-0')).toBeUndefined()
    expect(await memory.find('token-10000')).toBe(entry)
    for (let number = 0; number < 300; number += 1)
      await memory.remember(`${number}-`.padEnd(16_384, 'x'), entry)
    expect(await memory.find('token-10000')).toBeUndefined()
    expect(await memory.find('299-'.padEnd(16_384, 'x'))).toBe(entry)
    expect(await world.prove(token)).toBeDefined()
  })
})
