import { BrokerError, isBrokerError } from '../../domain/broker-error.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { parseScope, type ScopeSet } from '../../domain/scopes.ts'
import type { Secret } from '../../domain/secret.ts'
import {
  formRequest,
  type AccessToken,
  createSendBriefly,
  type SendBrieflyDeps,
} from '../../google/api-request.ts'
import type { OwnIdentity } from '../../ports/own-identity.ts'
import {
  identityError,
  requireAnswer,
  requireSuccess,
  type IdentitySource,
  type IdentityToken,
} from './identity-source.ts'
import { seconds, type EpochSeconds, type Seconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'
import { createRefreshingValue, type Freshness, type RefreshingDeps } from '../../domain/refreshing-value.ts'

export interface OwnIdentityDeps extends SendBrieflyDeps {
  readonly source: IdentitySource
  /** Holds a token of cloud-platform of that source. */
  readonly acting: AccessToken
  readonly tokeninfoUrl: string
}

/**
 * The broker's own identity as something to mint from. Where a platform may give more than it is asked for, Google is
 * asked what it gave.
 */
export function createOwnIdentity({ source, acting, tokeninfoUrl, ...deps }: OwnIdentityDeps): OwnIdentity {
  const accessToken = async (scopes: ScopeSet) => {
    const { token: secret, lifetime } = await source.accessToken(scopes)
    if (source.respectsScopes) return { secret, lifetime }
    return { secret, lifetime, scopes: await askScopes(deps, tokeninfoUrl, secret) }
  }
  return {
    actingToken: (refused) => asUpstream(acting(refused)),
    accessToken: (scopes) => asUpstream(accessToken(scopes)),
    idToken: (audience) => asUpstream(source.idToken(audience)),
    serviceAccount: () => asUpstream(source.serviceAccount()),
  }
}

/** docs/google.md §1.5; never as a parameter of the address, which ends in logs. */
async function askScopes(deps: SendBrieflyDeps, url: string, token: Secret): Promise<ScopeSet> {
  const form = formRequest(url, {})
  const headers = { ...form.headers, authorization: `Bearer ${token.reveal()}` }
  const answer = requireAnswer(await createSendBriefly(deps)(() => ({ ...form, headers })))
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

export interface CachedTokenDeps extends RefreshingDeps {
  readonly fetchToken: () => Promise<IdentityToken>
  readonly clock: Clock
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
/** How long the others leave a refresh ahead to whoever began it; a failure is remembered for so long. */
const bounds = { turnMs: 5000, pauseMs: 2000, remembersFailure: true }
/** A younger one that Google refuses is not the reason: another would be refused too. */
const refusableAfterMs = 10_000

interface Held extends IdentityToken {
  readonly fetchedAtMs: number
  readonly fetchedAt: EpochSeconds
}

/**
 * Keeps one token and asks for the next one in time: what it gives is good for at least a minute or a tenth of its life.
 * A failure is remembered for 2 s.
 */
export function createCachedToken({ fetchToken, clock, sharesWork }: CachedTokenDeps): AccessToken {
  const read = async (): Promise<Held> => {
    const asked = { fetchedAtMs: clock.steadyMs(), fetchedAt: clock.now() }
    return { ...(await fetchToken()), ...asked }
  }
  const freshness = (ageMs: number, { fetchedAt, lifetime }: Held): Freshness => {
    // By whichever clock says that more time has passed.
    const left = lifetime - Math.max(ageMs / 1000, clock.now() - fetchedAt)
    const isWithin = ({ most, part }: Margin): boolean => left <= Math.min(most, lifetime * part)
    if (isWithin(dead)) return 'expired'
    if (isWithin(late)) return 'stale'
    return isWithin(due) ? 'due' : 'fresh'
  }
  // The next one is asked for before its own call and not after the answer: there is CPU then on every platform.
  const held = createRefreshingValue({ clock, sharesWork, ...bounds, read, freshness })

  return async (refused) => {
    const last = held.peek()
    const isRefused = last !== undefined && refused?.reveal() === last.token.reveal()
    if (isRefused && clock.steadyMs() - last.fetchedAtMs < refusableAfterMs) return last.token
    return (await (isRefused ? held.refresh() : held.current())).token
  }
}
