import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { type BrokerKey, createSignAssertion } from '../../../src/adapters/google-identity/signing-keys.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { createSequence } from '../../support/sequence.ts'
import { createPrivateJwk, poolProvider as provider, readKeys } from '../../support/signing-key-set.ts'

const issuer = 'https://tokens.acme.example'

describe("the broker's assertion", () => {
  test.each(['ES256', 'RS256'] as const)(
    'by %s verifies with what is published, and is for the one provider and for five minutes',
    async (alg) => {
      const { sign, key, clock } = open(await createPrivateJwk('k1', alg))
      const jwt = (await sign()).reveal()
      const { payload, protectedHeader } = await jwtVerify(
        jwt,
        createLocalJWKSet({ keys: [key.published] }),
        {
          currentDate: new Date(clock.now() * 1000),
        },
      )

      expect(protectedHeader).toStrictEqual({ alg, kid: 'k1', typ: 'JWT' })
      expect(payload).toStrictEqual({
        iss: issuer,
        sub: 'downscope',
        aud: `https:${provider}`,
        iat: clock.now() - 10,
        exp: clock.now() + 290,
        jti: '00000000-0000-4000-8000-000000000001',
      })
    },
  )

  test('is another one each time, of its own moment', async () => {
    const { sign, clock } = open(await createPrivateJwk('k1'))
    const first = decodeJwt((await sign()).reveal())
    await clock.advance(60_000)
    const second = decodeJwt((await sign()).reveal())

    expect(second.jti).not.toBe(first.jti)
    expect(second.iat).toBe((first.iat ?? 0) + 60)
  })

  // Node would sign with such an RSA key, and workerd break over it ("internal error" on its standard error).
  test.each([
    ['ES256', ['x', 'y']],
    ['RS256', ['n']],
  ] as const)('P23: %s halves of two keys are told by the kid, and by nothing else', async (alg, names) => {
    const [mine, other] = [await createPrivateJwk('k1', alg), await createPrivateJwk('k2', alg)]
    const half = Object.fromEntries(names.map((name) => [name, other[name]]))
    const { sign } = open({ ...mine, ...half })

    const error: unknown = await sign().catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({
      code: 'store_unavailable',
      reason:
        "the broker's own identity towards Google: the signing key k1 cannot be used, or its private and public members are not of one key",
    })
    expect(String(error)).not.toContain(String(mine['d']).slice(0, 12))
  })

  test('a private member that is no key is refused in the same words', async () => {
    const { sign } = open({ ...(await createPrivateJwk('k1')), d: 'hunter2' })

    await expect(sign()).rejects.toMatchObject({
      reason: expect.stringContaining('the signing key k1') as unknown,
    })
  })
})

function open(jwk: Readonly<Record<string, unknown>>) {
  const clock = createFakeClock()
  const [key]: readonly [BrokerKey, ...BrokerKey[]] = readKeys(jwk)
  return {
    clock,
    key,
    sign: createSignAssertion({ keys: [key], issuer, provider, clock, entropy: createSequence() }),
  }
}
