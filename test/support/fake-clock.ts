import { epochSeconds, type EpochSeconds } from '../../src/domain/time.ts'
import type { Clock } from '../../src/ports/clock.ts'

export interface FakeClock extends Clock {
  /** Moves wall clock and steady time together, and wakes the sleepers whose time has come, in order. */
  advance(ms: number): Promise<void>
  /** Moves the wall clock alone, in either direction: what an operator or NTP does. */
  jump(seconds: number): void
}

/** A clock that stands still until it is told to move. Sleepers never wake by themselves. */
export function createFakeClock(start: EpochSeconds = epochSeconds(1_800_000_000)): FakeClock {
  let steady = 0
  let wallMs = start * 1000
  let sleepers: { readonly at: number; readonly wake: () => void }[] = []

  const settle = async () => {
    // Lets everything that the last wake-up set in motion run until it waits again.
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
  }

  return {
    now: () => epochSeconds(Math.floor(wallMs / 1000)),
    steadyMs: () => steady,
    sleep: (ms) =>
      ms <= 0
        ? Promise.resolve()
        : new Promise((wake) => {
            sleepers.push({ at: steady + ms, wake })
          }),
    jump: (by) => {
      wallMs += by * 1000
    },
    advance: async (ms) => {
      const end = steady + ms
      await settle()
      for (;;) {
        const next = sleepers.toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > end) break
        sleepers = sleepers.filter((sleeper) => sleeper !== next)
        wallMs += next.at - steady
        steady = next.at
        next.wake()
        await settle()
      }
      wallMs += end - steady
      steady = end
      await settle()
    },
  }
}
