import type { EpochSeconds } from '../domain/time.ts'

/** Time, as everything below the entry points sees it. */
export interface Clock {
  /** The wall clock, floored to whole seconds. It may jump in either direction. */
  now(): EpochSeconds
  /** Milliseconds that only ever grow, from an arbitrary start: for durations and for distrust of the wall clock. */
  steadyMs(): number
  /** Resolves after `ms` milliseconds of steady time. Never rejects. */
  sleep(ms: number): Promise<void>
}
