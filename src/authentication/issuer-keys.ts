import { BrokerError } from '../domain/broker-error.ts'
import type { MaybePromise } from '../domain/promises.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import {
  createKeySet,
  type KeySet,
  fetchTimeoutMs,
  type KeyLocation,
  createLoadJwks,
  type PublishedKeys,
} from './jwks.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import { seconds, type Seconds } from '../domain/time.ts'
import {
  byAge,
  createRefreshingValue,
  type RefreshingDeps,
  type RefreshingValue,
} from '../domain/refreshing-value.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { Log } from '../ports/log.ts'
import type { Clock } from '../ports/clock.ts'

/** The keys that an issuer of the policy signs with. */
export interface IssuerKeySource {
  /** The same object as long as nothing changed. */
  current(issuer: TrustedIssuer): MaybePromise<KeySet | NoKeys>
  /** The same after asking the issuer again, as far as that is due; keys written in the policy never change. */
  refreshed(issuer: TrustedIssuer): MaybePromise<KeySet | NoKeys>
}

export function createIssuerKeys(deps: RemoteKeysDeps): IssuerKeySource {
  const remote = createRemoteKeys(deps)
  // A new policy brings new issuer objects, and with them new sets.
  const inline = new WeakMap<TrustedIssuer, KeySet>()

  return {
    current: (issuer) => {
      const { keys } = issuer
      return keys.from === 'inline' ? inlineSet(issuer) : remote.current({ ...keys, issuer: issuer.issuer })
    },
    refreshed: (issuer) => {
      const { keys } = issuer
      return keys.from === 'inline' ? inlineSet(issuer) : remote.refreshed({ ...keys, issuer: issuer.issuer })
    },
  }

  function inlineSet(issuer: TrustedIssuer): KeySet {
    const known = inline.get(issuer)
    if (known !== undefined) return known
    const set = createKeySet(issuer.keys.from === 'inline' ? issuer.keys.keys : [])
    inline.set(issuer, set)
    return set
  }
}

export interface RemoteKeysDeps extends RefreshingDeps {
  readonly http: HttpClient
  readonly log: Log
}

/** The published keys of issuers, kept by where they are published. Never throws for what an issuer does. */
export interface RemoteKeys {
  /**
   * The keys, at most 5 min old while the issuer answers and 1 h when it does not. `NoKeys` when none are at hand: they
   * were never read, or the issuer has been down for longer than that.
   */
  current(location: KeyLocation): Promise<KeySet | NoKeys>
  /**
   * The keys after one more look, for a key that we have not seen: three looks in a burst, and then one per 30 s (P22).
   * `NoKeys` when the broker may not look yet, and the next look is too far away to wait for.
   */
  refreshed(location: KeyLocation): Promise<KeySet | NoKeys>
}

/** No key can be looked at now, and nobody can say whether the token is good. */
export interface NoKeys {
  readonly retryAfter: Seconds
}

export function isNoKeys(found: KeySet | NoKeys): found is NoKeys {
  return 'retryAfter' in found
}

/**
 * A removed key is dropped at the first request after 5 min; while somebody looks the others go on with what there is:
 * a slow issuer holds up one request. Keys serve for an hour when the issuer does not answer: it spans an ordinary outage
 * or deployment, and is what a platform's token commonly lives, so that a withdrawn key lasts no longer than the last
 * token that it rightly signed.
 */
const freshness = byAge({ freshMs: 300_000, dueMs: 3_600_000, staleMs: 3_600_000 })
/**
 * `turnMs`: metadata and JWK set, one after the other; a fetch that has not reported by then never will. `pauseMs`: between
 * two fetches for keys that are due and still serve, so that a failing issuer is not asked by each request.
 */
const bounds = { turnMs: 2 * fetchTimeoutMs + 1_000, pauseMs: 30_000 }
const pollMs = 50
/** How long a request waits until the keys may be fetched again. */
const waitMsMax = 3_000
/** How many requests for one issuer wait for a fetch, or until one is allowed; the others are told to retry (T9). */
const waitingMax = 64
/** Only issuers of a policy are kept here; this bounds what replaced policies leave behind (P24). */
const sourcesMax = 4_096

interface Source {
  readonly allowance: LookAllowance
  readonly published: RefreshingValue<PublishedKeys>
  /** Whether a key was ever published: an empty set counts like an issuer that is down. */
  hadKeys: boolean
  waiting: number
}

function createRemoteKeys({ http, log, clock, sharesWork }: RemoteKeysDeps): RemoteKeys {
  const load = createLoadJwks({ http, log })
  const sources = createRecentlyUsed<Source>({ sizeMax: sourcesMax })

  return {
    current: async (location) => {
      const source = sourceAt(location)
      if (keysAt(source) === undefined) await lookWhenAllowed(source)
      else await ended(source.published.current())
      return keysAt(source) ?? { retryAfter: retryAfterOf(source) }
    },
    refreshed: async (location) => {
      const source = sourceAt(location)
      const looked = await lookWhenAllowed(source)
      const keys = keysAt(source)
      return looked && keys !== undefined ? keys : { retryAfter: retryAfterOf(source) }
    },
  }

  function sourceAt(location: KeyLocation): Source {
    const { from, url, issuer, use } = location
    const name = JSON.stringify(from === 'discovery' ? [from, url, issuer] : [from, url, use])
    const known = sources.get(name)
    if (known !== undefined) return known
    const allowance = createLookAllowance(clock)
    let last: PublishedKeys | undefined
    const read = async (): Promise<PublishedKeys> => {
      const found = allowance.take() ? await load(location, last) : undefined
      if (found === undefined) throw unread
      last = found
      source.hadKeys ||= found.set.keys.length > 0
      return found
    }
    const published = createRefreshingValue({ clock, sharesWork, ...bounds, freshness, read })
    const source: Source = { allowance, published, hadKeys: false, waiting: 0 }
    sources.set(name, source)
    return source
  }

  function keysAt({ published, hadKeys }: Source): KeySet | undefined {
    return hadKeys ? published.peek()?.set : undefined
  }

  /** Whether a look has ended since: one's own, another's, or none because none is allowed for a while. */
  async function lookWhenAllowed(source: Source): Promise<boolean> {
    const { published, allowance } = source
    if (published.isReading()) return waitInLine(source, () => lookWithOthers(source))
    const pause = allowance.msUntilNext()
    if (pause > waitMsMax) return false
    if (pause > 0)
      return waitInLine(source, async () => {
        await clock.sleep(pause)
        await lookWithOthers(source)
      })
    await ended(published.refresh())
    return true
  }

  /** False when too many wait already. */
  async function waitInLine(source: Source, work: () => Promise<void>): Promise<boolean> {
    if (source.waiting >= waitingMax) return false
    source.waiting += 1
    try {
      await work()
    } finally {
      source.waiting -= 1
    }
    return true
  }

  /** By the look that is under way, where there is one; requests that may not share it watch the clock. */
  async function lookWithOthers({ published }: Source): Promise<void> {
    if (sharesWork || !published.isReading()) return ended(published.refresh())
    while (published.isReading()) await clock.sleep(pollMs)
  }

  function retryAfterOf({ allowance }: Source): Seconds {
    return seconds(Math.max(1, Math.ceil(allowance.msUntilNext() / 1000)))
  }
}

const unread = new BrokerError('upstream_unavailable', { reason: 'the keys of an issuer were not read' })

/** Why there was nothing to read is in the log; what is at hand serves. */
async function ended(look: MaybePromise<PublishedKeys>): Promise<void> {
  try {
    await look
  } catch (error) {
    if (error !== unread) throw error
  }
}

/** How often the keys of one issuer are looked at because a request wants it (P22). */
const burst = 3
const oneMoreAfterMs = 30_000

interface LookAllowance {
  /** Whether one more look is allowed now; it is counted if so. */
  take(): boolean
  /** Until the next look is allowed; 0 when one is. */
  msUntilNext(): number
}

/** Three looks in a burst, and then one per 30 s, however many requests want one. */
function createLookAllowance(clock: Pick<Clock, 'steadyMs'>): LookAllowance {
  let left = burst
  let countedAtMs = clock.steadyMs()

  const refill = () => {
    const earned = Math.floor((clock.steadyMs() - countedAtMs) / oneMoreAfterMs)
    countedAtMs += earned * oneMoreAfterMs
    left = Math.min(burst, left + earned)
    // A full allowance earns nothing: the next 30 s begin with the look that takes from it.
    if (left === burst) countedAtMs = clock.steadyMs()
  }

  return {
    take: () => {
      refill()
      if (left === 0) return false
      left -= 1
      return true
    },
    msUntilNext: () => {
      refill()
      return left > 0 ? 0 : countedAtMs + oneMoreAfterMs - clock.steadyMs()
    },
  }
}
