import { BrokerError, isBrokerError } from './broker-error.ts'
import { settled, withDeadline } from './promises.ts'
import { seconds } from './time.ts'

export interface RefreshingValueBounds {
  /** A value read longer ago than this is read again before it is used. */
  readonly freshMs: number
  /** While reading fails, the last value serves until it is this old. */
  readonly staleMs: number
  /** How long a reader may take; then it counts as failed for this use. */
  readonly deadlineMs: number
  /** After a failure the last value serves this long without another try. */
  readonly pauseMs: number
}

export interface RefreshingValueDeps<T> {
  readonly read: () => Promise<T>
  readonly clock: { steadyMs(): number; sleep(ms: number): Promise<void> }
  readonly bounds: RefreshingValueBounds
  /** False on Workers. */
  readonly sharesWork: boolean
}

export interface RefreshingValue<T> {
  readonly current: () => T | Promise<T>
  /**
   * After the value was changed at its source: what was read before is used by nobody any more, not even by those who
   * wait for it, and until the next read succeeds `current` throws. Resolves when one was tried; never rejects.
   */
  readonly readAgain: () => Promise<void>
}

/**
 * A value read from elsewhere, never older than `freshMs` while the reader works. There is no timer: whoever finds
 * it too old waits for the next read, so that an idle instance is not out of date when it wakes.
 */
export function createRefreshingValue<T>({
  read,
  clock,
  bounds,
  sharesWork,
}: RefreshingValueDeps<T>): RefreshingValue<T> {
  let held: { readonly value: T; readonly readAt: number } | undefined
  let tryAgainAt = 0
  let reading: Promise<T> | undefined
  let changes = 0

  const readOnce = async (): Promise<T> => {
    const [startedAt, changesThen] = [clock.steadyMs(), changes]
    const value = await read()
    if (changesThen !== changes) return readOnce()
    // A read that began earlier and came back later has nothing newer to say.
    if (held === undefined || startedAt >= held.readAt) held = { value, readAt: startedAt }
    return value
  }

  const join = (): Promise<T> => {
    const mine = (reading ??= readOnce().finally(() => {
      if (reading === mine) reading = undefined
    }))
    return mine
  }

  const refresh = async (): Promise<T> => {
    try {
      return await withDeadline(sharesWork ? join() : readOnce(), clock.sleep(bounds.deadlineMs), () =>
        late(bounds),
      )
    } catch (error) {
      const now = clock.steadyMs()
      tryAgainAt = now + bounds.pauseMs
      if (held === undefined || now - held.readAt > bounds.staleMs || !isBrokerError(error)) throw error
      return held.value
    }
  }

  const current = (): T | Promise<T> => {
    const now = clock.steadyMs()
    if (held !== undefined) {
      const age = now - held.readAt
      if (age <= bounds.freshMs) return held.value
      if (now < tryAgainAt && age <= bounds.staleMs) return held.value
    }
    return refresh()
  }

  return {
    current,
    readAgain: async () => {
      changes += 1
      held = undefined
      reading = undefined
      await settled(refresh())
    },
  }
}

function late({ deadlineMs }: RefreshingValueBounds): BrokerError {
  return new BrokerError('store_unavailable', {
    reason: `no answer within ${deadlineMs} ms`,
    retryAfter: seconds(2),
  })
}
