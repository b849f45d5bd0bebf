import { beforeAll, describe, expect, it } from 'vitest'
import { claimsFault, judgeClaims } from '../../src/authentication/judge-claims.ts'
import { seconds } from '../../src/domain/time.ts'
import { broker, createAuthenticateWorld, trustedIssuer } from '../support/authenticate-world.ts'
import { createSigner, type Signer } from '../support/signer.ts'

describe('claims', () => {
  let signer: Signer
  beforeAll(async () => {
    signer = await createSigner('ES256', 'k1')
  })
  const setUp = () => {
    const world = createAuthenticateWorld()
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    const now = world.clock.now()
    const prove = async (changes: Readonly<Record<string, unknown>>) =>
      world.prove(await signer.sign(world.claims(issuer, changes)))
    const refused = async (changes: Readonly<Record<string, unknown>>) =>
      (await world.refusal(await signer.sign(world.claims(issuer, changes)))).reason
    return { world, issuer, now, prove, refused }
  }

  it('P3: "aud" is this broker, as a string or alone in an array', async () => {
    const { prove } = setUp()
    expect(await prove({ aud: broker })).toBeDefined()
    expect(await prove({ aud: [broker] })).toBeDefined()
  })

  it('that were accepted and have ended since have no fault, unless there is another', () => {
    const { issuer, now } = setUp()
    const [iss, sub] = [issuer.issuer, issuer.issuer]
    const claims = { iss, sub, aud: broker, jti: 'j', iat: now - 1000, exp: now - 900 }
    expect(judgeClaims(claims, issuer, { now, form: 'client_assertion' })).toMatchObject({
      ok: false,
      fault: 'expired 900 s ago',
    })
    expect(claimsFault(claims, issuer, now)).toBeUndefined()
    expect(claimsFault({ ...claims, aud: 'another' }, issuer, now)).toBe('"aud" is not this broker alone')
  })

  it('P3: "aud" is nothing else, and nothing besides', async () => {
    const { refused } = setUp()
    const others = [
      undefined,
      null,
      '',
      [],
      {},
      1,
      true,
      'https://other.example',
      `${broker}/`,
      `${broker}/v1/token`,
      broker.toUpperCase(),
      [broker, 'https://other.example'],
      [broker, broker],
      [[broker]],
      [broker, null],
      { 0: broker, length: 1 },
      ` ${broker}`,
    ]
    for (const aud of others) expect(await refused({ aud })).toMatch(/"aud" is not this broker alone/)
  })

  it('P3: an audience that the issuer entry names counts for that issuer', async () => {
    const { world, issuer, prove, refused } = setUp()
    world.trust({ ...issuer, audiences: ['https://named.example'] })
    expect(await prove({ aud: 'https://named.example' })).toBeDefined()
    expect(await refused({ aud: broker })).toMatch(/"aud"/)
  })

  it('P5: "exp" is there, and it, "iat" and "nbf" are finite integers where they are there', async () => {
    const { now, prove, refused } = setUp()
    for (const wrong of [undefined, null, 'soon', String(now), now + 0.5, [now], {}, true, 2 ** 60]) {
      expect(await refused({ exp: wrong })).toMatch(/"exp" is not an integer/)
      if (wrong === undefined) continue
      expect(await refused({ iat: wrong })).toMatch(/"iat" is not an integer/)
      expect(await refused({ nbf: wrong })).toMatch(/"nbf" is not an integer/)
    }
    expect(await prove({ exp: now + 10, iat: now, nbf: now })).toBeDefined()
  })

  it('P5: an infinite "exp" is refused', async () => {
    const { world, issuer } = setUp()
    const text = JSON.stringify(world.claims(issuer)).replace(/"exp":\d+/, '"exp":1e999')
    const token = await signer.signTexts('{"alg":"ES256","kid":"k1"}', text)
    expect((await world.refusal(token)).reason).toMatch(/"exp" is not an integer/)
  })

  it("P5: an assertion lives no longer than the issuer's bound", async () => {
    const { world, issuer, now, prove, refused } = setUp()
    expect(await prove({ iat: now, exp: now + 300 })).toBeDefined()
    expect(await refused({ iat: now, exp: now + 301 })).toMatch(/lives 301 s, at most 300 s allowed/)
    expect(await refused({ iat: now, exp: now })).toMatch(/"exp" is not after "iat"/)
    expect(await refused({ iat: now + 20, exp: now + 10 })).toMatch(/"exp" is not after "iat"/)
    world.trust({ ...issuer, lifetimeMax: seconds(3600) })
    expect(await prove({ iat: now, exp: now + 3600 })).toBeDefined()
  })

  it('P5: without "iat" an assertion lives from now, and no longer than the issuer\'s bound', async () => {
    const { now, prove, refused } = setUp()
    expect(await prove({ iat: undefined, exp: now + 300 })).toBeDefined()
    expect(await refused({ iat: undefined, exp: now + 301 })).toMatch(/lives 301 s, at most 300 s allowed/)
    expect(await refused({ iat: undefined, exp: now - 60 })).toMatch(/expired 60 s ago/)
    expect(await refused({ iat: undefined, exp: now + 100, jti: undefined })).toMatch(/"jti"/)
  })

  it('P5: clocks may differ by 60 s and no more', async () => {
    const { now, prove, refused } = setUp()
    expect(await prove({ iat: now + 10, exp: now + 100 })).toBeDefined()
    expect(await prove({ iat: now + 60, exp: now + 100, nbf: now + 60 })).toBeDefined()
    expect(await refused({ iat: now + 61, exp: now + 100 })).toMatch(/"iat" is 61 s ahead/)
    expect(await refused({ iat: now, exp: now + 100, nbf: now + 61 })).toMatch(/"nbf" is 61 s ahead/)
    expect(await prove({ iat: now - 200, exp: now - 59 })).toBeDefined()
    expect(await refused({ iat: now - 200, exp: now - 60 })).toMatch(/expired 60 s ago/)
  })

  it('P5: an old assertion stays old whatever its lifetime says', async () => {
    const { now, refused } = setUp()
    for (const age of [361, 3600, 86_400])
      expect(await refused({ iat: now - age, exp: now - age + 300 })).toMatch(/expired/)
    expect(await refused({ iat: now - 86_400, exp: now + 100 })).toMatch(/lives/)
  })

  it('P4: "iss" and "sub" are non-empty strings of at most 1024 characters', async () => {
    const { world, issuer } = setUp()
    world.trust({ ...issuer, selfIssued: false })
    const refusal = async (changes: Readonly<Record<string, unknown>>) =>
      (await world.refusal(await signer.sign(world.claims(issuer, changes)))).reason
    for (const wrong of [undefined, null, '', 1, ['billing'], {}, 'x'.repeat(1025)]) {
      expect(await refusal({ iss: wrong })).toMatch(/"iss" is not a string/)
      expect(await refusal({ sub: wrong })).toMatch(/"sub" is not a string/)
    }
    const longest = 'x'.repeat(1024)
    expect((await world.prove(await signer.sign(world.claims(issuer, { sub: longest })))).subject).toBe(
      longest,
    )
  })
})
