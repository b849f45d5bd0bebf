import { epochSeconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'

// The longest delay that setTimeout takes; a longer one would fire at once.
const timerMaxMs = 2 ** 31 - 1

/** The platform's own clock: `Date` for the wall, `performance` for steady time. */
export function createSystemClock(): Clock {
  return {
    now: () => epochSeconds(Math.floor(Date.now() / 1000)),
    steadyMs: () => performance.now(),
    sleep: (ms) => new Promise((wake) => setTimeout(wake, Math.min(ms, timerMaxMs))),
  }
}
