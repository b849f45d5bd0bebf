import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import { seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'

/** How long a failure answers for the next ones, so that a herd does not beat on what is down. */
const restMsMin = 2_000
const entriesMax = 10_000

/** What this instance tried and failed at just now. */
export interface RecentFailures {
  /** Throws the failure of a moment ago again, if there was one. */
  rethrow(identity: string): void
  note(identity: string, error: unknown): void
}

export function createRecentFailures(clock: Clock): RecentFailures {
  const failures = createRecentlyUsed<{ readonly error: BrokerError; readonly untilMs: number }>({
    sizeMax: entriesMax,
  })

  return {
    rethrow: (identity) => {
      const failure = failures.get(identity)
      if (failure === undefined) return
      const leftMs = failure.untilMs - clock.steadyMs()
      if (leftMs <= 0) {
        failures.delete(identity)
        return
      }
      const { error } = failure
      throw new BrokerError(error.code, {
        reason: `${error.reason} (remembered from a moment ago)`,
        ...(error.publicDetail === undefined ? {} : { publicDetail: error.publicDetail }),
        ...(error.retryAfter === undefined ? {} : { retryAfter: seconds(Math.ceil(leftMs / 1000)) }),
        cause: error,
      })
    },
    note: (identity, error) => {
      if (!isBrokerError(error)) return
      // What the upstream asked for by Retry-After holds for all requests, not only for the one that heard it.
      const restMs = Math.max(restMsMin, (error.retryAfter ?? 0) * 1000)
      failures.set(identity, { error, untilMs: clock.steadyMs() + restMs })
    },
  }
}
