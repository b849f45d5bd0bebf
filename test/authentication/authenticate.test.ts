import { beforeAll, describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { SigningAlgorithm } from '../../src/domain/jwk.ts'
import { createAuthenticateWorld, trustedIssuer } from '../support/authenticate-world.ts'
import { base64url, createSigner, type Signer } from '../support/signer.ts'

const algorithms = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'PS256',
  'EdDSA',
] as const satisfies SigningAlgorithm[]

describe('authentication', () => {
  const signers = new Map<string, Signer>()
  beforeAll(async () => {
    for (const alg of algorithms) signers.set(alg, await createSigner(alg, `key-${alg}`))
    signers.set('other', await createSigner('ES256', 'key-ES256'))
    signers.set('second', await createSigner('ES256', 'key-second'))
  })
  const signer = (name: string): Signer => {
    const found = signers.get(name)
    if (found === undefined) throw new Error(`no signer ${name}`)
    return found
  }

  describe('the caller', () => {
    it.each(algorithms)('is who a %s signature of its issuer says', async (alg) => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer(alg)])
      world.trust(issuer)
      const claims = world.claims(issuer, { team: { name: 'blue' } })
      expect(await world.prove(await signer(alg).sign(claims))).toEqual({
        issuer: 'billing',
        issuerName: 'billing',
        subject: 'billing',
        claims,
      })
    })

    it('P4: is told apart by the exact issuer and subject', async () => {
      const world = createAuthenticateWorld()
      const one = trustedIssuer([signer('ES256')], {
        name: 'one',
        issuer: 'https://a.example',
        selfIssued: false,
      })
      const two = trustedIssuer([signer('RS256')], {
        name: 'two',
        issuer: 'https://b.example',
        selfIssued: false,
      })
      world.trust(one, two)
      const first = await world.prove(await signer('ES256').sign(world.claims(one, { sub: 'job' })))
      const second = await world.prove(await signer('RS256').sign(world.claims(two, { sub: 'job' })))
      expect([first.issuer, first.subject]).toEqual(['https://a.example', 'job'])
      expect([second.issuer, second.subject]).toEqual(['https://b.example', 'job'])
      for (const iss of [
        'https://A.example',
        'https://a.example/',
        'https://а.example',
        ' https://a.example',
        'HTTPS://a.example',
      ])
        expect((await world.refusal(await signer('ES256').sign(world.claims(one, { iss })))).reason).toMatch(
          /not in policy$/,
        )
      for (const sub of ['JOB', 'job ', 'jоb'])
        expect((await world.prove(await signer('ES256').sign(world.claims(one, { sub })))).subject).toBe(sub)
    })

    it('P4: cannot be made by a key of another issuer', async () => {
      const world = createAuthenticateWorld()
      const one = trustedIssuer([signer('ES256')], { issuer: 'one', name: 'one' })
      const two = trustedIssuer([signer('other')], { issuer: 'two', name: 'two' })
      world.trust(one, two)
      const forged = await signer('other').sign(world.claims(one))
      expect((await world.refusal(forged)).reason).toBe(
        'assertion of issuer "one": the signature does not verify',
      )
      expect(await world.prove(await signer('other').sign(world.claims(two)))).toMatchObject({
        subject: 'two',
      })
    })

    it('P4: of a self-issued assertion is its issuer', async () => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256')])
      world.trust(issuer)
      for (const sub of ['Billing', 'billing ', 'admin'])
        expect(
          (await world.refusal(await signer('ES256').sign(world.claims(issuer, { sub })))).reason,
        ).toMatch(/self-issued/)
      expect(await world.prove(await signer('ES256').sign(world.claims(issuer)))).toBeDefined()
    })
  })

  describe('the algorithm', () => {
    it('P2: none and HS* never verify, keyed with whatever is public', async () => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('RS256')], { algorithms: ['RS256', 'ES256'] })
      world.trust(issuer)
      const good = await signer('RS256').sign(world.claims(issuer))
      const [, payload = '', signature = ''] = good.split('.')
      for (const alg of [
        'none',
        'None',
        'NONE',
        '',
        'HS256',
        'HS512',
        'rs256',
        'RS256 ',
        'ES256',
        'PS256',
        'RS384',
        'toString',
        '__proto__',
      ]) {
        const header = base64url(JSON.stringify({ alg, kid: 'key-RS256', typ: 'JWT' }))
        const secret = new TextEncoder().encode(JSON.stringify(signer('RS256').jwk))
        const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, [
          'sign',
        ])
        const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(`${header}.${payload}`))
        for (const sig of [signature, base64url(new Uint8Array(mac)), 'AA'])
          expect((await world.refusal(`${header}.${payload}.${sig}`)).code).toBe('client_assertion_rejected')
        expect((await world.refusal(`${header}.${payload}.`)).code).toBe('client_assertion_rejected')
      }
      expect(world.uses).toEqual([])
      expect(await world.prove(good)).toBeDefined()
    })

    it('P2: must be one of the issuer, whatever the key could do', async () => {
      const world = createAuthenticateWorld()
      const strict = trustedIssuer([signer('RS256')], { algorithms: ['PS256'] })
      world.trust(strict)
      const token = await signer('RS256').sign(world.claims(strict))
      expect((await world.refusal(token)).reason).toMatch(/the algorithm is not one of the issuer/)
      world.trust({ ...strict, algorithms: ['RS256'] })
      expect(await world.prove(token)).toBeDefined()
    })

    it("P2: is the key's own when the key names one", async () => {
      const world = createAuthenticateWorld()
      const { jwk } = signer('RS256')
      const issuer = trustedIssuer([], {
        algorithms: ['RS256', 'PS256'],
        keys: { from: 'inline', keys: [{ ...jwk, alg: 'PS256' }] },
      })
      world.trust(issuer)
      const token = await signer('RS256').sign(world.claims(issuer))
      expect((await world.refusal(token)).reason).toMatch(/the key is not for RS256/)
      world.trust({ ...issuer, keys: { from: 'inline', keys: [{ ...jwk, alg: 'RS256' }] } })
      expect(await world.prove(token)).toBeDefined()
    })

    it('Ed25519 is EdDSA by its full name', async () => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('EdDSA')])
      world.trust(issuer)
      expect(
        await world.prove(await signer('EdDSA').sign(world.claims(issuer), { alg: 'Ed25519' })),
      ).toBeDefined()
      expect(
        (await world.refusal(await signer('EdDSA').sign(world.claims(issuer), { alg: 'Ed448' }))).reason,
      ).toMatch(/algorithm/)
    })
  })

  describe('the key', () => {
    it('P1: is found by kid; an unknown kid, even beside a single key, is refused', async () => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256')])
      world.trust(issuer)
      for (const kid of ['', 'KEY-ES256', 'key-ES256 ', '../key-ES256', '__proto__'])
        expect(
          (await world.refusal(await signer('ES256').sign(world.claims(issuer), { kid }))).reason,
        ).toMatch(/no key of that name/)
      expect(await world.prove(await signer('ES256').sign(world.claims(issuer)))).toBeDefined()
    })

    it('P1: without kid is the only one that fits, or none', async () => {
      const world = createAuthenticateWorld()
      const two = trustedIssuer([signer('ES256'), signer('RS256')])
      world.trust(two)
      expect(
        await world.prove(await signer('ES256').sign(world.claims(two), { kid: undefined })),
      ).toBeDefined()
      const three = trustedIssuer([signer('ES256'), signer('RS256'), signer('second')])
      world.trust(three)
      const token = await signer('ES256').sign(world.claims(three), { kid: undefined })
      expect((await world.refusal(token)).reason).toMatch(/no "kid", and several keys fit/)
    })

    it('P2: shares its kid with no other', async () => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256'), signer('other'), signer('second')])
      world.trust(issuer)
      for (const name of ['ES256', 'other'])
        expect((await world.refusal(await signer(name).sign(world.claims(issuer)))).reason).toMatch(
          /no key of that name/,
        )
      expect(await world.prove(await signer('second').sign(world.claims(issuer)))).toBeDefined()
    })

    it('P1: off its curve proves nothing', async () => {
      const world = createAuthenticateWorld()
      const x = base64url(new Uint8Array(32).fill(7))
      const issuer = trustedIssuer([signer('ES256')], {
        keys: { from: 'inline', keys: [{ kty: 'EC', crv: 'P-256', x, y: x, kid: 'key-ES256' }] },
      })
      world.trust(issuer)
      expect((await world.refusal(await signer('ES256').sign(world.claims(issuer)))).code).toBe(
        'client_assertion_rejected',
      )
    })
  })

  describe('the kind of token', () => {
    it.each([
      'JWT',
      'jwt',
      'JOSE',
      'application/jwt',
      'Application/JWT',
      'client-authentication+jwt',
      undefined,
    ])('a client assertion may be typed %s', async (typ) => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256')])
      world.trust(issuer)
      expect(await world.prove(await signer('ES256').sign(world.claims(issuer), { typ }))).toBeDefined()
    })

    it.each([
      'at+jwt',
      'AT+JWT',
      'application/at+jwt',
      'dpop+jwt',
      'logout+jwt',
      'secevent+jwt',
      '',
      'JWT ',
      'jwt;x=y',
      'application/application/jwt',
      'text/jwt',
      'oauth-authz-req+jwt',
      'token-introspection+jwt',
    ])('P8: a JWT typed %j is never accepted', async (typ) => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256')])
      world.trust(issuer)
      for (const form of ['client_assertion', 'subject_token', 'admin_bearer'] as const) {
        const token = await signer('ES256').sign(world.claims(issuer), { typ })
        expect((await world.refusal(token, { form })).reason).toBe('"typ" is of another kind of token')
      }
      expect(world.uses).toEqual([])
    })

    it('P8: a client assertion is no subject token and no admin bearer', async () => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256')])
      world.trust(issuer)
      for (const form of ['subject_token', 'admin_bearer'] as const) {
        const typed = await signer('ES256').sign(world.claims(issuer), { typ: 'client-authentication+jwt' })
        expect((await world.refusal(typed, { form })).reason).toMatch(/another kind/)
        expect(await world.prove(await signer('ES256').sign(world.claims(issuer)), { form })).toBeDefined()
      }
    })
  })

  describe('a rejection', () => {
    it.each([
      ['client_assertion', 'client_assertion_rejected'],
      ['subject_token', 'subject_token_rejected'],
      ['admin_bearer', 'admin_unauthenticated'],
    ] as const)('of a %s has the code %s', async (form, code) => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256')])
      world.trust(issuer)
      const expired = await signer('ES256').sign(world.claims(issuer, { iat: 1, exp: 2 }))
      const forged = await signer('other').sign(world.claims(issuer))
      for (const token of ['garbage', expired, forged])
        expect((await world.refusal(token, { form })).code).toBe(code)
    })

    it('P23: never quotes the token', async () => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256')])
      world.trust(issuer)
      const tokens = [
        'secret-refresh-token',
        await signer('other').sign(world.claims(issuer)),
        await signer('ES256').sign(world.claims(issuer, { iss: `unknown\n${'x'.repeat(900)}` })),
        await signer('ES256').sign(world.claims(issuer, { sub: 'secret-subject' })),
      ]
      for (const token of tokens) {
        const { reason, message } = await world.refusal(token)
        for (const part of token.split('.')) expect(reason + message).not.toContain(part)
        expect(reason).not.toMatch(/secret|\n/)
        expect(reason.length).toBeLessThan(200)
      }
    })

    it('RFC 7521 §4.2: a client_id beside the assertion must be its subject', async () => {
      const world = createAuthenticateWorld()
      const issuer = trustedIssuer([signer('ES256')])
      world.trust(issuer)
      const token = await signer('ES256').sign(world.claims(issuer))
      expect((await world.refusal(token, { clientId: 'Billing' })).code).toBe('client_assertion_rejected')
      expect(await world.prove(token, { clientId: 'billing' })).toBeDefined()
    })

    it('is not what a policy that cannot be read answers', async () => {
      const world = createAuthenticateWorld({
        findIssuer: async () => {
          throw new BrokerError('policy_unavailable', { reason: 'as the test wants it' })
        },
      })
      const token = await signer('ES256').sign(world.claims(trustedIssuer([signer('ES256')])))
      expect((await world.refusal(token)).code).toBe('policy_unavailable')
    })
  })
})
