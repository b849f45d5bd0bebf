import { beforeAll, describe, expect, it } from 'vitest'
import { sharedAudienceFault } from '../../src/authentication/judge-claims.ts'
import type { Proof } from '../../src/domain/exchange-request.ts'
import { broker, createAuthenticateWorld, trustedIssuer } from '../support/authenticate-world.ts'
import { createSigner, type Signer } from '../support/signer.ts'

const exchange = { form: 'subject_token', accessToken: 'marked' } satisfies Partial<Proof>

describe('what an issuer entry lets in besides plain JWTs for us alone', () => {
  let signer: Signer
  beforeAll(async () => {
    signer = await createSigner('ES256', 'k1')
  })

  const setUp = (changes: Parameters<typeof trustedIssuer>[1]) => {
    const world = createAuthenticateWorld()
    const issuer = trustedIssuer([signer], changes)
    world.trust(issuer)
    const sign = (claims: Readonly<Record<string, unknown>>, header = {}) =>
      signer.sign(world.claims(issuer, claims), header)
    return { world, issuer, sign }
  }

  describe('tolerated_audiences', () => {
    const tolerant = { toleratedAudiences: ['broker', 'account'] }

    it('P3: what it names may stand beside our audience in a subject token', async () => {
      const { world, sign } = setUp(tolerant)
      for (const aud of [[broker, 'account'], ['broker', 'account', broker], [broker], broker])
        expect(await world.prove(await sign({ aud }), exchange)).toMatchObject({ subject: 'billing' })
    })

    it('P3: it never stands instead of ours, and nothing else stands beside', async () => {
      const { world, sign } = setUp(tolerant)
      for (const aud of [
        'account',
        ['account'],
        ['account', 'broker'],
        [broker, 'other'],
        [broker, 'account', 1],
      ]) {
        const { code, reason } = await world.refusal(await sign({ aud }), exchange)
        expect(code).toBe('subject_token_rejected')
        expect(reason).toMatch(/"aud" is not this broker alone/)
      }
    })

    it('P3, T4: it is for subject tokens alone', async () => {
      const { world, sign } = setUp(tolerant)
      for (const form of ['client_assertion', 'admin_bearer'] as const)
        expect((await world.refusal(await sign({ aud: [broker, 'account'] }), { form })).reason).toMatch(
          /"aud"/,
        )
    })

    it('without it, the reason and explain name both ways out', async () => {
      const { world, issuer, sign } = setUp({})
      const { reason } = await world.refusal(await sign({ aud: ['account', broker] }), exchange)
      expect(reason).toMatch(/"Full scope allowed".*tolerated_audiences/)
      const claims = { aud: ['account', broker] }
      expect(sharedAudienceFault(claims, issuer)).toMatch(/"Full scope allowed".*tolerated_audiences/)
      expect(sharedAudienceFault(claims, { ...issuer, ...tolerant })).toBeUndefined()
      expect(sharedAudienceFault({ aud: 'elsewhere' }, issuer)).toBeUndefined()
    })
  })

  describe('accepts: [at+jwt]', () => {
    const accepting = { accepts: ['at+jwt' as const], replay: 'allowed' as const }
    const token = { aud: broker, client_id: 'robot' }

    it('P8: lets an access token of the issuer prove a caller at token exchange', async () => {
      const { world, sign } = setUp(accepting)
      for (const typ of ['at+jwt', 'application/at+jwt', 'AT+JWT'])
        for (const accessToken of ['marked', 'access_token'] as const)
          expect(
            await world.prove(await sign(token, { typ }), { form: 'subject_token', accessToken }),
          ).toMatchObject({ subject: 'billing', provedByAccessToken: true })
    })

    it('P8: is off by default, also for a token that is only said to be an access token', async () => {
      const { world, sign } = setUp({ replay: 'allowed' })
      expect((await world.refusal(await sign(token, { typ: 'at+jwt' }), exchange)).reason).toMatch(/accepts/)
      const said = { form: 'subject_token', accessToken: 'access_token' } satisfies Partial<Proof>
      expect((await world.refusal(await sign(token), said)).reason).toMatch(/accepts/)
      expect(await world.prove(await sign(token), exchange)).not.toHaveProperty('provedByAccessToken')
    })

    it('P8, T4: never takes one as client assertion, at the admin API, or where nothing is exchanged', async () => {
      const { world, sign } = setUp(accepting)
      for (const form of ['client_assertion', 'admin_bearer', 'subject_token'] as const)
        expect((await world.refusal(await sign(token, { typ: 'at+jwt' }), { form })).reason).toMatch(/"typ"/)
    })

    it.each([
      ['another audience beside ours', { ...token, aud: [broker, 'account'] }, /"aud"/],
      ['no client', { aud: broker }, /client_id/],
      ['a client that is no text', { ...token, client_id: 7 }, /client_id/],
      ['a key it is bound to', { ...token, cnf: { jkt: 'x' } }, /cnf/],
    ])('T8: takes none with %s', async (_what, claims, reason) => {
      const { world, sign } = setUp(accepting)
      expect((await world.refusal(await sign(claims, { typ: 'at+jwt' }), exchange)).reason).toMatch(reason)
    })

    it.each(['dpop+jwt', 'logout+jwt', 'secevent+jwt'])('P8: lets no %s in', async (typ) => {
      const { world, sign } = setUp(accepting)
      expect((await world.refusal(await sign(token, { typ }), exchange)).reason).toMatch(/"typ"/)
    })
  })
})
