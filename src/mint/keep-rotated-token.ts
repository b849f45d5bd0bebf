import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { seconds } from '../domain/time.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { RefreshResult, RefreshTurn, RefreshTurns } from '../records/refresh-turns.ts'

/** A caller waits this long for the store to come back. */
const foregroundMs = 2000
/** An outage of the store longer than this loses the token, and the next request says so. */
const backgroundMs = 5 * 60_000
const pauseMsMin = 50
/** Short: whoever takes the next turn before the token is stored would send the consumed one. */
const pauseMsMax = 1000
const retryAfter = seconds(5)

export interface KeepRotatedTokenDeps {
  readonly refreshTurns: RefreshTurns
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly background: Background
}

export interface KeepRotatedToken {
  /** Throws `store_unavailable` while this instance holds a rotated token of the credential that is not stored yet. */
  readonly refuseWhileOwed: (name: string) => void
  /** Ends the turn; when it resolves, a rotated token in `result` is durable. Else it throws `store_unavailable`. */
  readonly endTurn: (turn: RefreshTurn, result: RefreshResult) => Promise<void>
}

/**
 * No rotated refresh token is given up before five minutes of trying to store it (P16): two seconds while the
 * request waits, and then in the background. A turn without one is ended once, and if that fails its lease expires.
 */
export function createKeepRotatedToken(deps: KeepRotatedTokenDeps): KeepRotatedToken {
  const { refreshTurns, log } = deps
  const owed = new Set<string>()

  const endQuietly = async (turn: RefreshTurn, result: RefreshResult) => {
    try {
      await refreshTurns.end(turn, result)
    } catch (error) {
      log('warn', 'the end of a refresh turn was not stored; its lease will expire', fieldsOf(turn, error))
    }
  }

  return {
    refuseWhileOwed: (name) => {
      if (owed.has(name)) throw notStored(`credential ${name}: its rotated refresh token is not stored yet`)
    },
    endTurn: async (turn, result) => {
      if (result.rotated === undefined) return endQuietly(turn, result)
      if (await endWithin(deps, { turn, result, limitMs: foregroundMs })) return
      log('error', 'a rotated refresh token is not stored yet; trying on for 5 minutes', fieldsOf(turn))
      owed.add(turn.name)
      deps.background.run(async () => {
        const isStored = await endWithin(deps, { turn, result, limitMs: backgroundMs })
        owed.delete(turn.name)
        if (isStored) log('info', 'the rotated refresh token is stored after all', fieldsOf(turn))
        else log('error', 'a rotated refresh token is lost: the store never took it', fieldsOf(turn))
      })
      throw notStored(`credential ${turn.name}: the store did not take its rotated refresh token`)
    },
  }
}

interface Ending {
  readonly turn: RefreshTurn
  readonly result: RefreshResult
  readonly limitMs: number
}

/** Whether the turn could be ended within the limit; tries at least once. */
async function endWithin(
  { refreshTurns, clock, entropy, log }: KeepRotatedTokenDeps,
  { turn, result, limitMs }: Ending,
): Promise<boolean> {
  const untilMs = clock.steadyMs() + limitMs
  for (let attempt = 0; ; attempt += 1) {
    try {
      const ending = await refreshTurns.end(turn, result)
      // Also what a repeated attempt hears after one that was written although it failed.
      if (ending === 'superseded') log('warn', 'a newer refresh token was stored already', fieldsOf(turn))
      return true
    } catch (error) {
      log('warn', 'storing a rotated refresh token failed', fieldsOf(turn, error))
    }
    const pauseMs = Math.min(pauseMsMax, pauseMsMin * 2 ** attempt) * (0.5 + entropy.fraction() / 2)
    if (clock.steadyMs() + pauseMs > untilMs) return false
    await clock.sleep(pauseMs)
  }
}

function notStored(reason: string): BrokerError {
  return new BrokerError('store_unavailable', { reason, retryAfter })
}

function fieldsOf({ name, version, fence }: RefreshTurn, error?: unknown): Readonly<Record<string, unknown>> {
  const reason = isBrokerError(error) ? error.reason : error
  return { credential: name, version, fence, ...(error === undefined ? {} : { reason }) }
}
