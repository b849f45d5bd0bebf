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
/** How long the end of a turn that holds no new token is tried for: what is left behind keeps the next one waiting. */
const quietMs = 1000
/** An outage of the store longer than this loses the token, and the next request says so. Workers cut it short. */
const backgroundMs = 5 * 60_000
const pauseMsMin = 50
/** Short: whoever takes the next turn before the token is stored would send the consumed one (`lease-watch.ts`). */
const pauseMsMax = 1000
const retryAfter = seconds(5)

export interface StoreRotatedTokenDeps {
  readonly refreshTurns: RefreshLeases
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly background: Background
}

export interface StoreRotatedToken {
  /** Stores what `endTurn` could not store. Throws `store_unavailable` while the store still does not take it. */
  readonly settleOwed: (name: string) => Promise<void>
  /**
   * Ends the turn; when it resolves, a rotated token in `result` is durable, or nobody is to have one. Else it throws
   * `store_unavailable`.
   */
  readonly endTurn: (turn: RefreshLease, result: RefreshResult) => Promise<void>
}

/**
 * No rotated refresh token is given up before five minutes of trying to store it (P16): two seconds while the
 * request waits, and then in the background and with each next request of the credential, which alone is sure to come
 * where the background is cut off. A turn without one is tried to be ended for a second, and if that fails its lease
 * expires.
 */
export function createStoreRotatedToken(deps: StoreRotatedTokenDeps): StoreRotatedToken {
  const { log } = deps
  const owed = new Map<string, OwedEnd>()

  const endQuietly = async (turn: RefreshLease, result: RefreshResult) => {
    if ((await endWithin(deps, { turn, result, limitMs: quietMs })) !== undefined) return
    log('warn', 'the end of a refresh turn was not stored; its lease will expire', fieldsOf(turn))
  }

  /** Whether nothing is owed any more: it is stored, or another is, or its version is gone. */
  const tryOwed = async (end: OwedEnd, limitMs: number): Promise<boolean> => {
    const ended = await endWithin(deps, { ...end, limitMs })
    const isStillOwed = owed.get(end.turn.name) === end
    if (ended === undefined) return !isStillOwed
    if (!isStillOwed) return true
    owed.delete(end.turn.name)
    if (ended === 'ended') log('info', 'the rotated refresh token is stored after all', fieldsOf(end.turn))
    return true
  }

  return {
    settleOwed: async (name) => {
      const end = owed.get(name)
      if (end === undefined || (await tryOwed(end, 0))) return
      throw notStored(`credential ${name}: its rotated refresh token is not stored yet`)
    },
    endTurn: async (turn, result) => {
      if (result.rotated === undefined) return endQuietly(turn, result)
      if ((await endWithin(deps, { turn, result, limitMs: foregroundMs })) !== undefined) return
      log('error', 'a rotated refresh token is not stored yet; trying on', fieldsOf(turn))
      const end = { turn, result }
      owed.set(turn.name, end)
      deps.background.run(async () => {
        if (await tryOwed(end, backgroundMs)) return
        owed.delete(turn.name)
        log('error', 'a rotated refresh token is lost: the store never took it', fieldsOf(turn))
      })
      throw notStored(`credential ${turn.name}: the store did not take its rotated refresh token`)
    },
  }
}

interface OwedEnd {
  readonly turn: RefreshLease
  readonly result: RefreshResult
}

interface Ending extends OwedEnd {
  readonly limitMs: number
}

/** How the turn ended, if it could be ended within the limit; tries at least once. */
async function endWithin(
  { refreshTurns, clock, entropy, log }: StoreRotatedTokenDeps,
  { turn, result, limitMs }: Ending,
): Promise<EndedRefreshLease | undefined> {
  const untilMs = clock.steadyMs() + limitMs
  for (let attempt = 0; ; attempt += 1) {
    try {
      const ended = await refreshTurns.end(turn, result)
      if (result.rotated !== undefined) tellUnstored(log, turn, ended)
      return ended
    } catch (error) {
      log('warn', 'storing the end of a refresh turn failed', fieldsOf(turn, error))
    }
    const pauseMs = Math.min(pauseMsMax, pauseMsMin * 2 ** attempt) * (0.5 + entropy.fraction() / 2)
    if (clock.steadyMs() + pauseMs > untilMs) return undefined
    await clock.sleep(pauseMs)
  }
}

function tellUnstored(log: Log, turn: RefreshLease, ended: EndedRefreshLease): void {
  // Also what a repeated attempt hears after one that was written although it failed.
  if (ended === 'superseded') log('warn', 'a newer refresh token was stored already', fieldsOf(turn))
  if (ended === 'gone') log('error', unrevoked, fieldsOf(turn))
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
  return { credential: name, version, fence, ...(error === undefined ? {} : { reason }) }
}
