import { isBrokerError } from '../../domain/broker-error.ts'
import type { Secret } from '../../domain/secret.ts'
import { seconds, type EpochSeconds, type Seconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { IdentityToken } from './identity-reply.ts'

/**
 * A token of the broker's own, good for at least a minute or a tenth of its life. Settles within two seconds; throws
 * `store_unavailable`. `refused`: a token that Google did not accept; the same again means that there is no other.
 */
export type GoogleIdentity = (refused?: Secret) => Promise<Secret>

export interface HeldTokenDeps {
  readonly fetchToken: () => Promise<IdentityToken>
  readonly clock: Clock
  /** False on Workers. */
  readonly sharesWork: boolean
}

/** A part of the token's life, at most so many seconds before its end. */
interface Margin {
  readonly most: Seconds
  readonly part: number
}

/** From here on one call at a time asks for the next token, and the others are given the one held. */
const due: Margin = { most: seconds(600), part: 1 / 2 }
/** From here on every call wants the next one; the one held is for when there is none to be had. */
const late: Margin = { most: seconds(300), part: 1 / 4 }
const dead: Margin = { most: seconds(60), part: 1 / 10 }
/** How long the others leave a refresh ahead to whoever began it. */
const refreshTurnMs = 5000
const failureHeldMs = 2000
/** A younger one that Google refuses is not the reason: another would be refused too. */
const refusableAfterMs = 10_000

interface Held extends IdentityToken {
  readonly fetchedAtMs: number
  readonly fetchedAt: EpochSeconds
}

interface Failure {
  readonly error: unknown
  readonly atMs: number
}

/** Keeps one token and asks for the next one in time; a failure is remembered for 2 s. */
export function createHeldToken({ fetchToken, clock, sharesWork }: HeldTokenDeps): GoogleIdentity {
  let held: Held | undefined
  let failure: Failure | undefined
  let inFlight: Promise<Held> | undefined
  let refreshBeganAtMs = -Infinity

  const fetchHeld = async (): Promise<Held> => {
    const fetchedAtMs = clock.steadyMs()
    const fetchedAt = clock.now()
    try {
      held = { ...(await fetchToken()), fetchedAtMs, fetchedAt }
      failure = undefined
      return held
    } catch (error) {
      failure = { error, atMs: clock.steadyMs() }
      throw error
    }
  }

  const fetchNext = async (): Promise<Held> => {
    if (failure !== undefined && clock.steadyMs() - failure.atMs < failureHeldMs) throw failure.error
    if (!sharesWork) return await fetchHeld()
    inFlight ??= fetchHeld().finally(() => (inFlight = undefined))
    return await inFlight
  }

  /** Whether this call is the one that asks for the next token. */
  const takesTurn = (): boolean => {
    const nowMs = clock.steadyMs()
    if (nowMs - refreshBeganAtMs < refreshTurnMs) return false
    refreshBeganAtMs = nowMs
    return true
  }

  return async (refused) => {
    if (held === undefined || isWithin(dead, held, clock)) return (await fetchNext()).token
    if (refused?.reveal() === held.token.reveal()) {
      const isNew = clock.steadyMs() - held.fetchedAtMs < refusableAfterMs
      return isNew ? held.token : (await fetchNext()).token
    }
    const isWanted = isWithin(late, held, clock) || (isWithin(due, held, clock) && takesTurn())
    // Before its own call and not after the answer: there is CPU then on every platform.
    return isWanted ? (await fetchNext().catch(otherwise(held))).token : held.token
  }
}

function isWithin({ most, part }: Margin, held: Held, clock: Clock): boolean {
  return lifeLeft(held, clock) <= Math.min(most, held.lifetime * part)
}

/** By whichever clock says that more time has passed. */
function lifeLeft({ fetchedAtMs, fetchedAt, lifetime }: Held, clock: Clock): number {
  return lifetime - Math.max((clock.steadyMs() - fetchedAtMs) / 1000, clock.now() - fetchedAt)
}

/** A planned failure to get the next token hurts nobody while there is this one. */
function otherwise(held: Held): (error: unknown) => Held {
  return (error) => {
    if (isBrokerError(error)) return held
    throw error
  }
}
