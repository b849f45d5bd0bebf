/** Tenths of a retry, so that the sums stay exact. */
const retryCost = 10
const earnedByFirstAttempt = 1
/** A single fault on a quiet instance may be retried at once. */
const startingReserve = 2 * retryCost
/** What a busy hour may save up: so small that an outage does not begin with a burst. */
const reserveMax = 4 * retryCost

interface RetryBudget {
  noteFirstAttempt(): void
  /** Whether one more retry may be sent; if so it is paid for. */
  mayRetry(): boolean
}

/**
 * Retries stay at most a tenth of the first attempts, beyond a reserve of four: in a total outage, when every request
 * would be retried twice, an upstream gets no more than 1.2 times the requests we got (P21).
 */
export function createRetryBudget(): RetryBudget {
  let saved = startingReserve
  return {
    noteFirstAttempt: () => {
      saved = Math.min(reserveMax, saved + earnedByFirstAttempt)
    },
    mayRetry: () => {
      if (saved < retryCost) return false
      saved -= retryCost
      return true
    },
  }
}
