import { beforeAll, describe, expect, it } from 'vitest'
import { seconds } from '../../src/domain/time.ts'
import {
  broker,
  createAuthenticateWorld,
  trustedIssuer,
  type AuthenticateWorld,
} from '../support/authenticate-world.ts'
import { base64url, createSigner, type Signer } from '../support/signer.ts'

const marked = 'planted-marker'

interface Faulty {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

/** What a JWT shows by itself, and what is said of it. */
function visibleFaults(now: number): readonly (readonly [string, Faulty, RegExp])[] {
  const lived = { iat: now - 500, exp: now - 400 }
  return [
    ['expired', { claims: lived }, /expired 400 s ago/],
    ['for another audience', { claims: { aud: `https://${marked}.example` } }, /its aud is another/],
    ['for two audiences', { claims: { aud: [broker, marked] } }, /its aud is another/],
    ['for nobody', { claims: { aud: undefined } }, /its aud is missing/],
    ['without iss', { claims: { iss: undefined } }, /its iss is missing/],
    ['with a number for iss', { claims: { iss: 7 } }, /its iss is not text/],
    ['without sub', { claims: { sub: undefined } }, /its sub is missing/],
    ['without exp', { claims: { exp: undefined } }, /its exp is missing/],
    ['with text for exp', { claims: { exp: marked } }, /its exp is not a whole number/],
    ['with text for iat', { claims: { iat: marked } }, /its iat is not a whole number/],
    ['with text for nbf', { claims: { nbf: marked } }, /its nbf is not a whole number/],
    ['that ends before it begins', { claims: { iat: now + 20, exp: now + 10 } }, /its exp is not after/],
    ['from the future', { claims: { iat: now + 100, exp: now + 200 } }, /its iat is 100 s ahead/],
    ['not yet valid', { claims: { nbf: now + 100, exp: now + 200 } }, /its nbf is 100 s ahead/],
    ['of another kind', { header: { typ: `${marked}+jwt` } }, /its typ is that of another kind/],
    ['unsigned', { header: { alg: 'none' } }, /its alg is not accepted from anybody/],
    ['with a symmetric signature', { header: { alg: 'HS256' } }, /its alg is not accepted from anybody/],
    ['with its own key', { header: { jku: `https://${marked}.example` } }, /header has "jku"/],
  ]
}

describe('what a refused caller is told', () => {
  let signer: Signer
  let other: Signer
  beforeAll(async () => {
    signer = await createSigner('ES256', 'k1')
    other = await createSigner('ES256', 'k1')
  })

  /** The same policy time after time, and each time what is known of the JWT's issuer is another. */
  const worlds = (): readonly (readonly [string, AuthenticateWorld])[] => {
    const issuer = trustedIssuer([signer])
    const policies = {
      'an issuer that nobody trusts': [],
      'a trusted issuer': [issuer],
      'one of another audience, algorithm, life and replay, that does not sign for itself': [
        {
          ...issuer,
          selfIssued: false,
          audiences: ['https://elsewhere.example', `https://${marked}.example`],
          algorithms: ['RS256' as const],
          lifetimeMax: seconds(1),
          replay: 'allowed' as const,
        },
      ],
      'one of other keys': [trustedIssuer([other])],
      'one whose keys cannot be had': [
        { ...issuer, keys: { from: 'jwks_uri' as const, url: 'https://down.example/keys' } },
      ],
    }
    return Object.entries(policies).map(([name, trusted]) => {
      const world = createAuthenticateWorld()
      world.trust(...trusted)
      return [name, world]
    })
  }

  it('T10: each fault that a JWT shows is told in the same octets, whoever its issuer is', async () => {
    const [first] = worlds()
    const now = first?.[1].clock.now() ?? 0
    let told = 0
    for (const form of ['client_assertion', 'subject_token', 'admin_bearer'] as const) {
      for (const [name, { claims, header }, text] of visibleFaults(now)) {
        const token = await signer.sign(
          createAuthenticateWorld().claims(trustedIssuer([signer]), claims),
          header,
        )
        for (const [policy, world] of worlds()) {
          const { publicDetail } = await world.refusal(token, { form })
          expect(publicDetail, `${name}, of ${policy}`).toMatch(text)
          const [, unknown] = worlds()[0] ?? []
          expect(publicDetail).toBe((await unknown?.refusal(token, { form }))?.publicDetail)
          expect(publicDetail).not.toContain(marked)
          told += 1
        }
      }
    }
    expect(told).toBe(3 * 18 * 5)
  })

  it('T10: a good-looking JWT that is forged, of a stranger or not for policy is refused without a word', async () => {
    const claims = createAuthenticateWorld().claims(trustedIssuer([signer]))
    const strangers = await signer.sign({ ...claims, sub: 'another' })
    const forged = await other.sign(claims)
    for (const [, world] of worlds().filter(([name]) => !name.includes('other keys')))
      for (const token of [forged, strangers])
        expect((await world.refusal(token)).publicDetail).toBeUndefined()
  })

  it('T10: what only the issuer entry forbids is told nobody before the signature verifies', async () => {
    const issuer = trustedIssuer([signer], { algorithms: ['ES256'], lifetimeMax: seconds(60) })
    const world = createAuthenticateWorld()
    world.trust(issuer)
    for (const changes of [{}, { jti: undefined, exp: world.clock.now() + 30 }]) {
      const forged = await other.sign(world.claims(issuer, changes))
      expect((await world.refusal(forged)).publicDetail).toBeUndefined()
    }
    world.trust({ ...issuer, audiences: ['https://elsewhere.example'], lifetimeMax: seconds(300) })
    expect((await world.refusal(await signer.sign(world.claims(issuer)))).publicDetail).toBeUndefined()
  })

  it('P37: after verification also: used before, lives too long, no jti, another client_id', async () => {
    const issuer = trustedIssuer([signer], { lifetimeMax: seconds(60) })
    const world = createAuthenticateWorld()
    world.trust(issuer)
    const told = async (changes: Readonly<Record<string, unknown>>, clientId?: string) => {
      const token = await signer.sign(world.claims(issuer, { exp: world.clock.now() + 50, ...changes }))
      const proof = clientId === undefined ? {} : { clientId }
      const { publicDetail, caller } = await world.refusal(token, proof)
      expect(caller).toMatchObject({ issuer: 'billing', subject: 'billing' })
      return publicDetail
    }
    const name = 'the client assertion is not accepted'
    expect(await told({ exp: world.clock.now() + 61 })).toBe(
      `${name}: it lives 61 s: sign one whose exp is at most 60 s ahead`,
    )
    expect(await told({ jti: undefined })).toMatch(/it needs a jti/)
    expect(await told({}, 'someone')).toMatch(/client_id is not its sub/)
    await world.prove(await signer.sign(world.claims(issuer, { exp: world.clock.now() + 50, jti: 'one' })))
    expect(await told({ jti: 'one' })).toBe(
      `${name}: it was used before: sign a new one, with a new jti, for each request`,
    )
  })

  it('P37: what is malformed is named, and nothing of it repeated', async () => {
    const world = createAuthenticateWorld()
    const payload = base64url('{}')
    for (const [token, text] of [
      [marked, /malformed: not three parts/],
      [`${base64url(`{"alg":"ES256","crit":["${marked}"]}`)}.${payload}.AAAA`, /header has "crit"/],
      [`${base64url('{"alg":"ES256","alg":"ES256"}')}.${payload}.AAAA`, /header has a duplicate member/],
      ['x'.repeat(16_385), /longer than 16384 characters/],
    ] as const) {
      const { publicDetail } = await world.refusal(token)
      expect(publicDetail).toMatch(text)
      expect(publicDetail).not.toContain(marked)
    }
  })
})
