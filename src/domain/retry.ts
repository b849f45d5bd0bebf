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

export interface RetryRules<T> {
  readonly clock: { steadyMs(): number; sleep(ms: number): Promise<void> }
  /** By the steady clock: no attempt outlives it. */
  readonly deadlineMs: number
  /** Most that one attempt may take. */
  readonly attemptMs: number
  /** Less is no attempt: what may come of it is an unknown outcome. */
  readonly attemptMsMin: number
  readonly retriesMax: number
  /** How long to wait before the next attempt; `undefined` where the result stands. Not asked after the last one. */
  readonly waitMs: (result: T, attempt: number) => number | undefined | Promise<number | undefined>
}

/**
 * Sends something, and again as often as the rules want it and the deadline allows: the last result, or `undefined`
 * when no time was left to send at all. `send` is told how long it may take.
 */
export async function retryWithin<T>(
  rules: RetryRules<T>,
  send: (timeoutMs: number) => Promise<T>,
): Promise<T | undefined> {
  const { clock, deadlineMs, attemptMs, attemptMsMin, retriesMax } = rules
  for (let attempt = 0; ; attempt += 1) {
    const leftMs = Math.floor(deadlineMs - clock.steadyMs())
    if (leftMs < attemptMsMin) return undefined
    const result = await send(Math.min(attemptMs, leftMs))
    const waitMs = attempt === retriesMax ? undefined : await rules.waitMs(result, attempt)
    if (waitMs === undefined || clock.steadyMs() + waitMs + attemptMsMin > deadlineMs) return result
    if (waitMs > 0) await clock.sleep(waitMs)
  }
}
