import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { seconds } from '../domain/time.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type {
  EndedRefreshLease,
  RefreshResult,
  RefreshLease,
  RefreshLeases,
} from '../records/refresh-leases.ts'

/** A caller waits this long for the store to come back. */
const foregroundMs = 2000
/** How long the end of a lease without a new token is retried: a lease that is left behind keeps others waiting. */
const quietMs = 1000
/** A longer outage of the store loses the token, and the next request says so. Workers stop earlier. */
const backgroundMs = 5 * 60_000
const pauseMsMin = 50
/** Short, because the next holder of the lease would send the consumed token (`records/lease.ts`). */
const pauseMsMax = 1000
const retryAfter = seconds(5)

export interface StoreRotatedTokenDeps {
  readonly refreshLeases: RefreshLeases
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly background: Background
}

export interface StoreRotatedToken {
  /** Stores what `endLease` could not store. Throws `store_unavailable` while the store still does not take it. */
  readonly storeUnstored: (name: string) => Promise<void>
  /**
   * Ends the lease; when it resolves, a rotated token in `result` is durable, or is not wanted any more. Otherwise it throws
   * `store_unavailable`.
   */
  readonly endLease: (lease: RefreshLease, result: RefreshResult) => Promise<void>
}

/**
 * Retries storing a rotated refresh token for five minutes (P16): for two seconds while the request waits, and then in the
 * background and with each later request for the credential, because a platform may stop background work. The end of a
 * lease without a new token is retried for a second, and then the lease expires.
 */
export function createStoreRotatedToken(deps: StoreRotatedTokenDeps): StoreRotatedToken {
  const { log } = deps
  const unstored = new Map<string, UnstoredEnd>()

  const endQuietly = async (lease: RefreshLease, result: RefreshResult) => {
    if ((await endWithin(deps, { lease, result, limitMs: quietMs })) !== undefined) return
    log('warn', 'the end of a refresh lease was not stored; the lease will expire', fieldsOf(lease))
  }

  /** Whether nothing is left to store: the token is stored, or a newer one is, or its version is gone. */
  const tryUnstored = async (end: UnstoredEnd, limitMs: number): Promise<boolean> => {
    const ended = await endWithin(deps, { ...end, limitMs })
    const isStillUnstored = unstored.get(end.lease.name) === end
    if (ended === undefined) return !isStillUnstored
    if (!isStillUnstored) return true
    unstored.delete(end.lease.name)
    if (ended === 'ended') log('info', 'the rotated refresh token is stored after all', fieldsOf(end.lease))
    return true
  }

  return {
    storeUnstored: async (name) => {
      const end = unstored.get(name)
      if (end === undefined || (await tryUnstored(end, 0))) return
      throw notStored(`credential ${name}: its rotated refresh token is not stored yet`)
    },
    endLease: async (lease, result) => {
      if (result.rotated === undefined) return endQuietly(lease, result)
      if ((await endWithin(deps, { lease, result, limitMs: foregroundMs })) !== undefined) return
      log('error', 'a rotated refresh token is not stored yet; trying on', fieldsOf(lease))
      const end = { lease, result }
      unstored.set(lease.name, end)
      deps.background.run(async () => {
        if (await tryUnstored(end, backgroundMs)) return
        unstored.delete(lease.name)
        log('error', 'a rotated refresh token is lost: the store never took it', fieldsOf(lease))
      })
      throw notStored(`credential ${lease.name}: the store did not take its rotated refresh token`)
    },
  }
}

interface UnstoredEnd {
  readonly lease: RefreshLease
  readonly result: RefreshResult
}

interface Ending extends UnstoredEnd {
  readonly limitMs: number
}

/** How the lease ended, if it could be ended within the limit; tries at least once. */
async function endWithin(
  { refreshLeases, clock, entropy, log }: StoreRotatedTokenDeps,
  { lease, result, limitMs }: Ending,
): Promise<EndedRefreshLease | undefined> {
  const untilMs = clock.steadyMs() + limitMs
  for (let attempt = 0; ; attempt += 1) {
    try {
      const ended = await refreshLeases.end(lease, result)
      if (result.rotated !== undefined) tellUnstored(log, lease, ended)
      return ended
    } catch (error) {
      log('warn', 'storing the end of a refresh lease failed', fieldsOf(lease, error))
    }
    const pauseMs = Math.min(pauseMsMax, pauseMsMin * 2 ** attempt) * (0.5 + entropy.fraction() / 2)
    if (clock.steadyMs() + pauseMs > untilMs) return undefined
    await clock.sleep(pauseMs)
  }
}

function tellUnstored(log: Log, lease: RefreshLease, ended: EndedRefreshLease): void {
  // Also the answer to a repeated attempt after one that was written although it failed.
  if (ended === 'superseded') log('warn', 'a newer refresh token was stored already', fieldsOf(lease))
  if (ended === 'gone') log('error', unrevoked, fieldsOf(lease))
}

const unrevoked =
  'a rotated refresh token is dropped: its version was revoked or destroyed meanwhile, and it may live on upstream'

function notStored(reason: string): BrokerError {
  return new BrokerError('store_unavailable', { reason, retryAfter })
}

function fieldsOf(
  { name, version, fence }: RefreshLease,
  error?: unknown,
): Readonly<Record<string, unknown>> {
  const reason = isBrokerError(error) ? error.reason : error
  return { credential: name, version, fence, ...(error !== undefined && { reason }) }
}
