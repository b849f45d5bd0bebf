import { BrokerError, isBrokerError } from './broker-error.ts'
import { settled, withDeadline, type MaybePromise } from './promises.ts'
import { seconds } from './time.ts'

/**
 * `fresh`: served. `due`: served while one request at a time reads the next one. `stale`: served when the next one
 * cannot be had. `expired`: never served.
 */
export type Freshness = 'fresh' | 'due' | 'stale' | 'expired'

export interface RefreshingDeps {
  readonly clock: { steadyMs(): number; sleep(ms: number): Promise<void> }
  /** Whether a request may await a read that another one began; false on Workers. */
  readonly sharesWork: boolean
}

export interface RefreshingValueDeps<T> extends RefreshingDeps {
  /** A value serves on after its `BrokerError` alone. */
  readonly read: () => Promise<T>
  /** What may be done with a value that was asked for so long ago. */
  readonly freshness: (ageMs: number, value: T) => Freshness
  /** How long a read may take; then it counts as failed for this use. Absent where reads end by themselves. */
  readonly deadlineMs?: number
  /** How long the others leave a read to whoever began it; default the deadline, else 5 s. */
  readonly turnMs?: number
  /** After a failure the last value serves this long without another try; default 0. */
  readonly pauseMs?: number
  /** Whether in that pause the failure is thrown again where there is no value; else each request tries. */
  readonly remembersFailure?: boolean
  /** The failure of a read that passes its deadline; default `store_unavailable`. */
  readonly late?: () => BrokerError
}

export interface RefreshingValue<T> {
  /** The value, read again first where it is too old. Throws what the reader throws. */
  current(): MaybePromise<T>
  /** The value as it is read from now on, or by a read under way; throws where that fails. */
  refresh(): Promise<T>
  /** The value at hand unless it is expired; nothing is read. */
  peek(): T | undefined
  set(value: T): void
  /** What was read before is used by nobody any more, not even by those who wait for it. */
  drop(): void
  /**
   * After the value was changed at its source: drops it, and until the next read succeeds `current` throws. Resolves
   * when one was tried; never rejects.
   */
  readAgain(): Promise<void>
  /** Whether a read is under way that may still report. */
  isReading(): boolean
}

/**
 * A value read from elsewhere. There is no timer: whoever finds it too old reads it again, so that an idle instance is
 * not out of date when it wakes.
 */
export function createRefreshingValue<T>(deps: RefreshingValueDeps<T>): RefreshingValue<T> {
  const { clock, freshness, deadlineMs, turnMs = deadlineMs ?? 5_000, pauseMs = 0 } = deps
  let held: { readonly value: T; readonly readAtMs: number } | undefined
  let failed: { readonly error: unknown; readonly atMs: number } | undefined
  let reading: { readonly promise: Promise<T>; readonly startedAtMs: number } | undefined
  let turnBeganAtMs = -Infinity
  let drops = 0

  const readOnce = async (startedAtMs: number): Promise<T> => {
    const dropsThen = drops
    const value = await deps.read()
    if (dropsThen !== drops) return readOnce(clock.steadyMs())
    // A read that began earlier and came back later has nothing newer to say.
    if (held === undefined || startedAtMs >= held.readAtMs) held = { value, readAtMs: startedAtMs }
    failed = undefined
    return value
  }

  const begin = (): Promise<T> => {
    const startedAtMs = clock.steadyMs()
    turnBeganAtMs = startedAtMs
    const promise = readOnce(startedAtMs).finally(() => {
      if (reading === mine) reading = undefined
    })
    const mine = { promise, startedAtMs }
    reading = mine
    return promise
  }

  const isReading = (): boolean => reading !== undefined && isWithin(reading.startedAtMs, turnMs)

  const isWithin = (sinceMs: number, ms: number): boolean => clock.steadyMs() - sinceMs < ms

  const stateNow = (): Freshness =>
    held === undefined ? 'expired' : freshness(clock.steadyMs() - held.readAtMs, held.value)

  const peek = (): T | undefined => (stateNow() === 'expired' ? undefined : held?.value)

  const refresh = async (): Promise<T> => {
    if (failed !== undefined && deps.remembersFailure === true && isWithin(failed.atMs, pauseMs))
      throw failed.error
    try {
      const work = deps.sharesWork && reading !== undefined && isReading() ? reading.promise : begin()
      return await (deadlineMs === undefined
        ? work
        : withDeadline(work, clock.sleep(deadlineMs), deps.late ?? (() => storeLate(deadlineMs))))
    } catch (error) {
      failed = { error, atMs: clock.steadyMs() }
      throw error
    }
  }

  const otherwise = (error: unknown): T => {
    if (held === undefined || stateNow() === 'expired' || !isBrokerError(error)) throw error
    return held.value
  }

  /** Whether the value serves although it is not fresh: after a failure, or while another request reads. */
  const servesOn = (state: Freshness): boolean => {
    if (state === 'expired') return false
    if (state === 'due' && isWithin(turnBeganAtMs, turnMs)) return true
    if (failed === undefined) return false
    return isWithin(failed.atMs, pauseMs) || (isWithin(failed.atMs, pauseMs + turnMs) && isReading())
  }

  const drop = (): void => {
    drops += 1
    held = undefined
    reading = undefined
  }

  return {
    current: () => {
      const state = stateNow()
      if (held !== undefined && (state === 'fresh' || servesOn(state))) return held.value
      return refresh().catch(otherwise)
    },
    refresh,
    peek,
    set: (value) => {
      held = { value, readAtMs: clock.steadyMs() }
      failed = undefined
    },
    drop,
    readAgain: async () => {
      drop()
      await settled(refresh())
    },
    isReading,
  }
}

/** By its age alone: fresh so long, then perhaps due, and stale until it expires. */
export function byAge(bounds: {
  readonly freshMs: number
  readonly dueMs?: number
  readonly staleMs: number
}): (ageMs: number) => Freshness {
  const { freshMs, dueMs = freshMs, staleMs } = bounds
  return (ageMs) => {
    if (ageMs < freshMs) return 'fresh'
    if (ageMs < dueMs) return 'due'
    return ageMs < staleMs ? 'stale' : 'expired'
  }
}

function storeLate(deadlineMs: number): BrokerError {
  return new BrokerError('store_unavailable', {
    reason: `no answer within ${deadlineMs} ms`,
    retryAfter: seconds(2),
  })
}
