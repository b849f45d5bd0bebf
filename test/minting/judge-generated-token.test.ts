import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import { judgeGeneratedToken } from '../../src/minting/impersonation.ts'

const sentAt = epochSeconds(1_800_000_000)
const scopes = ['a', 'b']
const drawnFrom = ['v1']

function judge(lifetime: number, expireTime: unknown, accessToken: unknown = 'ya29.token') {
  return judgeGeneratedToken(
    { accessToken, expireTime },
    { scopes, lifetime: seconds(lifetime), sentAt, drawnFrom },
  )
}

const at = (offset: number) => new Date((sentAt + offset) * 1000).toISOString()

test('P13: whatever end a reply names, no token lives longer than was asked, or than it says', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 60, max: 43_200 }),
      fc.integer({ min: -7200, max: 90_000 }),
      (asked, given) => {
        const judged = judge(asked, at(given))
        expect(judged.ok).toBe(given >= 1 && given <= asked + 60)
        if (!judged.ok) return
        expect(judged.value.expiresAt - sentAt).toBe(Math.min(asked, given))
        expect(judged.value).toMatchObject({ scopes, drawnFrom, issuedAt: sentAt, tokenType: 'access_token' })
      },
    ),
    { numRuns: 2000 },
  )
})

test('P13: what cannot be read is no token, and a fault says nothing of it', () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (token, end) => {
      const judged = judge(3600, end, token)
      expect(judged.ok).toBe(false)
      if (!judged.ok) expect(judged.fault).toMatch(/^no usable (?:accessToken|expireTime)$/)
    }),
  )
})
