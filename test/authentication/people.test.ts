import { beforeAll, describe, expect, test } from 'vitest'
import type { Proof } from '../../src/domain/exchange-request.ts'
import { createAuthenticateWorld, trustedIssuer } from '../support/authenticate-world.ts'
import { createSigner, type Signer } from '../support/signer.ts'

describe('the ID token of a person', () => {
  let signer: Signer
  beforeAll(async () => {
    signer = await createSigner('ES256', 'k1')
  })
  const setUp = () => {
    const issuer = trustedIssuer([signer])
    const world = createAuthenticateWorld({ signIn: { issuer: issuer.issuer, clients: ['downscope-cli'] } })
    world.trust(issuer)
    const now = world.clock.now()
    const idToken = (changes: Readonly<Record<string, unknown>> = {}) =>
      signer.sign(world.claims(issuer, { aud: 'downscope-cli', exp: now + 3600, jti: undefined, ...changes }))
    const admin: Partial<Proof> = { form: 'admin_bearer' }
    return { world, idToken, admin }
  }

  test('is for the client of the command line, lives an hour, and is shown again at the admin API', async () => {
    const { world, idToken, admin } = setUp()
    const token = await idToken()

    expect(await world.prove(token, admin)).toBeDefined()
    expect(await world.prove(token, admin)).toBeDefined()
    expect(world.uses).toEqual([])
  })

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['of another client', { aud: 'another-client' }],
    ['that another client asked for', { azp: 'another-client' }],
    ['for two clients', { aud: ['downscope-cli', 'another-client'] }],
  ])('%s is refused', async (_, changes) => {
    const { world, idToken, admin } = setUp()

    expect((await world.refusal(await idToken(changes), admin)).code).toBe('admin_unauthenticated')
  })

  test.each(['client_assertion', 'subject_token'] as const)('is no %s', async (form) => {
    const { world, idToken } = setUp()

    expect((await world.refusal(await idToken(), { form })).reason).toContain('"aud"')
  })
})
