import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { Secret } from '../../src/domain/secret.ts'
import { createStoreRotatedToken } from '../../src/minting/store-rotated-token.ts'
import type { RefreshLease } from '../../src/records/refresh-leases.ts'
import { createAwaitableBackground, createLogBook } from '../support/quiet.ts'
import { createSequence } from '../support/sequence.ts'
import { createSkippingClock } from '../support/skipping-clock.ts'

const lease: RefreshLease = {
  held: true,
  name: 'calendar-user',
  version: 'v1',
  fence: 1,
  generation: 1,
  secret: {
    kind: 'refresh_token',
    client: { id: 'client-1', proof: 'secret', secret: new Secret('the client secret') },
    refreshToken: new Secret('refresh-1'),
  },
}

/** A store that takes nothing, and a clock that notes how long it was asked to sleep. */
function createOutage(fraction: number) {
  const clock = createSkippingClock()
  const pauses: number[] = []
  const background = createAwaitableBackground()
  let attempts = 0
  const keep = createStoreRotatedToken({
    refreshLeases: {
      begin: () => Promise.reject(new Error('not part of this test')),
      end: async () => {
        attempts += 1
        throw new BrokerError('store_unavailable', { reason: 'down' })
      },
    },
    clock: {
      ...clock,
      sleep: async (ms) => {
        pauses.push(ms)
        await clock.sleep(ms)
      },
    },
    entropy: createSequence(fraction),
    log: createLogBook().log,
    background,
  })
  return { clock, keep, pauses, background, attempts: () => attempts }
}

describe('while a rotated refresh token cannot be stored', () => {
  it.each([0, 0.5, 0.999_999])(
    'P16: the pauses never exceed the second that the lease watch relies on (drawn %d)',
    async (fraction) => {
      const { clock, keep, pauses, background, attempts } = createOutage(fraction)
      const beganMs = clock.steadyMs()
      await expect(keep.endLease(lease, { rotated: new Secret('refresh-2') })).rejects.toMatchObject({
        code: 'store_unavailable',
      })
      await background.settled()

      expect(Math.max(...pauses)).toBeLessThanOrEqual(1_000)
      expect(Math.max(...pauses)).toBeGreaterThan(400)
      // Five minutes, hardly a second between two attempts.
      expect(attempts()).toBeGreaterThanOrEqual(300)
      expect(clock.steadyMs() - beganMs).toBeGreaterThanOrEqual(300_000)
    },
  )

  it('the first pauses are short, for most outages are', async () => {
    const { keep, pauses, background } = createOutage(0)
    await keep.endLease(lease, { rotated: new Secret('refresh-2') }).catch(() => undefined)
    await background.settled()
    expect(pauses.slice(0, 4)).toEqual([25, 50, 100, 200])
  })

  it('a lease without a new token is given up after a second', async () => {
    const { clock, keep, pauses } = createOutage(0.5)
    const beganMs = clock.steadyMs()
    await keep.endLease(lease, { health: { status: 'healthy' } })
    expect(pauses.length).toBeGreaterThan(2)
    expect(clock.steadyMs() - beganMs).toBeLessThanOrEqual(1_000)
  })
})
