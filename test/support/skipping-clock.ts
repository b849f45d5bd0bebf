import { epochSeconds, type EpochSeconds } from '../../src/domain/time.ts'
import type { Clock } from '../../src/ports/clock.ts'

export interface SkippingClock extends Clock {
  /** Moves wall clock and steady time together. */
  skip(ms: number): void
  /** How long everybody slept, in order. */
  readonly slept: readonly number[]
}

/** A clock on which sleeping takes no time and time passes only by sleeping: for tests with real sockets. */
export function createSkippingClock(start: EpochSeconds = epochSeconds(1_800_000_000)): SkippingClock {
  let steady = 0
  const slept: number[] = []
  return {
    slept,
    now: () => epochSeconds(start + Math.floor(steady / 1000)),
    steadyMs: () => steady,
    sleep: async (ms) => {
      slept.push(ms)
      steady += Math.max(0, ms)
      await Promise.resolve()
    },
    skip: (ms) => {
      steady += ms
    },
  }
}
