import { BrokerError, isBrokerError } from '../../domain/broker-error.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { parseScope, type ScopeSet } from '../../domain/scopes.ts'
import type { Secret } from '../../domain/secret.ts'
import type { HttpClient } from '../../ports/http-client.ts'
import type { OwnIdentity } from '../../ports/own-identity.ts'
import {
  identityError,
  askForToken,
  requireSuccess,
  type IdentitySource,
  type IdentityToken,
} from './identity-source.ts'
import { seconds, type EpochSeconds, type Seconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'

export interface OwnIdentityDeps {
  readonly source: IdentitySource
  /** Holds a token of cloud-platform of that source. */
  readonly acting: GoogleIdentity
  readonly http: HttpClient
  readonly tokeninfoUrl: string
}

/**
 * The broker's own identity as something to mint from. Where a platform may give more than it is asked for, Google is
 * asked what it gave.
 */
export function createOwnIdentity({ source, acting, http, tokeninfoUrl }: OwnIdentityDeps): OwnIdentity {
  const accessToken = async (scopes: ScopeSet) => {
    const { token: secret, lifetime } = await source.accessToken(scopes)
    if (source.respectsScopes) return { secret, lifetime }
    return { secret, lifetime, scopes: await askScopes(http, tokeninfoUrl, secret) }
  }
  return {
    actingToken: (refused) => asUpstream(acting(refused)),
    accessToken: (scopes) => asUpstream(accessToken(scopes)),
    idToken: (audience) => asUpstream(source.idToken(audience)),
    serviceAccount: () => asUpstream(source.serviceAccount()),
  }
}

/** docs/google.md §1.5; never as a parameter of the address, which ends in logs. */
async function askScopes(http: HttpClient, url: string, token: Secret): Promise<ScopeSet> {
  const answer = await askForToken(http, {
    method: 'POST',
    url,
    headers: {
      authorization: `Bearer ${token.reveal()}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    },
    body: '',
  })
  requireSuccess(answer, "Google's tokeninfo")
  const { scope } = parseJsonObject(answer.body) ?? {}
  const scopes = typeof scope === 'string' ? parseScope(scope) : undefined
  if (scopes === undefined) throw identityError("Google's tokeninfo names no scope of the token")
  return scopes
}

/** Here it is not the store that stands on this identity. */
async function asUpstream<T>(asking: Promise<T>): Promise<T> {
  try {
    return await asking
  } catch (error) {
    if (!isBrokerError(error) || error.code !== 'store_unavailable') throw error
    const { reason, retryAfter } = error
    throw new BrokerError('upstream_unavailable', {
      reason,
      ...omitUndefined({ retryAfter }),
    })
  }
}

/**
 * A token of the broker's own, good for at least a minute or a tenth of its life. Settles within two seconds; throws
 * `store_unavailable`. `refused`: a token that Google did not accept; the same again means that there is no other.
 */
export type GoogleIdentity = (refused?: Secret) => Promise<Secret>

export interface CachedTokenDeps {
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
export function createCachedToken({ fetchToken, clock, sharesWork }: CachedTokenDeps): GoogleIdentity {
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
