import { describe, expect, it } from 'vitest'
import { createTokenBuckets } from '../../src/adapters/system/rate-limits.ts'
import { createCountRequest } from '../../src/authentication/authenticate.ts'
import { createAuthenticateWorld, trustedIssuer } from '../support/authenticate-world.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createSigner } from '../support/signer.ts'

const signer = await createSigner('ES256', 'key')
const issuer = trustedIssuer([signer], { selfIssued: false })

function createWorld({ perCaller }: { readonly perCaller: number }) {
  const clock = createFakeClock()
  const world = createAuthenticateWorld({
    limits: { perCaller: createTokenBuckets({ perMinute: perCaller, clock }) },
  })
  world.trust(issuer)
  const token = (sub: string) => signer.sign(world.claims(issuer, { sub }))
  return { ...world, token }
}

describe('limits of callers', () => {
  it('a caller that comes too often is told when to come again, and others are not', async () => {
    const { token, prove, refusal } = createWorld({ perCaller: 2 })
    await prove(await token('a'))
    await prove(await token('a'))
    expect(await refusal(await token('a'))).toMatchObject({ code: 'caller_throttled', retryAfter: 30 })
    expect((await prove(await token('b'))).subject).toBe('b')
  })

  it('nobody uses up what another one may have: a forged assertion does not count', async () => {
    const { token, prove, refusal } = createWorld({ perCaller: 2 })
    const forged = `${(await token('a')).slice(0, -4)}AAAA`
    for (let attempt = 0; attempt < 10; attempt += 1)
      expect((await refusal(forged)).code).toBe('client_assertion_rejected')
    expect((await prove(await token('a'))).subject).toBe('a')
  })

  it('a throttled assertion is not spent', async () => {
    const { token, prove, refusal, uses } = createWorld({ perCaller: 1 })
    await prove(await token('a'))
    await refusal(await token('a'))
    expect(uses).toHaveLength(1)
  })

  it('the total counts callers, administrators and introspection each apart', async () => {
    const countRequest = createCountRequest({
      total: createTokenBuckets({ perMinute: 1, clock: createFakeClock() }),
    })
    for (const kind of ['callers', 'administrators', 'introspection'] as const) {
      await countRequest(kind)
      await expect(countRequest(kind)).rejects.toThrow(expect.objectContaining({ code: 'caller_throttled' }))
    }
  })
})
