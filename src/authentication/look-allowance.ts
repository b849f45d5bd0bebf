import type { Clock } from '../ports/clock.ts'

/** How often the keys of one issuer are looked at because a request wants it (P22). */
const burst = 3
const oneMoreAfterMs = 30_000

export interface LookAllowance {
  /** Whether one more look is allowed now; it is counted if so. */
  take(): boolean
  /** Until the next look is allowed; 0 when one is. */
  msUntilNext(): number
}

/** Three looks in a burst, and then one per 30 s, however many requests want one. */
export function createLookAllowance(clock: Pick<Clock, 'steadyMs'>): LookAllowance {
  let left = burst
  let countedAtMs = clock.steadyMs()

  const refill = () => {
    const earned = Math.floor((clock.steadyMs() - countedAtMs) / oneMoreAfterMs)
    countedAtMs += earned * oneMoreAfterMs
    left = Math.min(burst, left + earned)
    // A full allowance earns nothing: the next 30 s begin with the look that takes from it.
    if (left === burst) countedAtMs = clock.steadyMs()
  }

  return {
    take: () => {
      refill()
      if (left === 0) return false
      left -= 1
      return true
    },
    msUntilNext: () => {
      refill()
      return left > 0 ? 0 : countedAtMs + oneMoreAfterMs - clock.steadyMs()
    },
  }
}
