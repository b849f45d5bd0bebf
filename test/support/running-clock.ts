import { epochSeconds, type EpochSeconds } from '../../src/domain/time.ts'
import type { Clock } from '../../src/ports/clock.ts'

/** Time as it passes, from a start of choice, that can be skipped besides: for expiry beside real sockets. */
export function createRunningClock(start: EpochSeconds): Clock & { skip(ms: number): void } {
  const beganMs = performance.now()
  let skippedMs = 0
  const steadyMs = (): number => performance.now() - beganMs + skippedMs
  return {
    steadyMs,
    now: () => epochSeconds(start + Math.floor(steadyMs() / 1000)),
    sleep: (ms) => new Promise((wake) => void setTimeout(wake, ms)),
    skip: (ms) => {
      skippedMs += ms
    },
  }
}
