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
import type { Clock } from '../ports/clock.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { Log } from '../ports/log.ts'
import { createLookAllowance, type LookAllowance } from './look-allowance.ts'

/** The keys that an issuer of the policy signs with. */
export interface IssuerKeySource {
  /** The same object as long as nothing changed. */
  current(issuer: TrustedIssuer): MaybePromise<KeySet | NoKeys>
  /** The same after asking the issuer again, as far as that is due; keys written in the policy never change. */
  refreshed(issuer: TrustedIssuer): Promise<KeySet | NoKeys>
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
    refreshed: async (issuer) => {
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

export interface RemoteKeysDeps {
  readonly http: HttpClient
  readonly clock: Clock
  readonly log: Log
  /** False on Workers: there the others look at the clock instead. */
  readonly sharesWork: boolean
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

/** A removed key is dropped at the first request after this long. */
const lifeMs = 300_000
/**
 * How long keys serve when the issuer does not answer. It spans an ordinary outage or deployment, and is what a
 * platform's token commonly lives: a withdrawn key lasts no longer than the last token that it rightly signed.
 */
const staleMsMax = 3_600_000
/** Between two looks for keys that are old and still serve: a failing issuer is not asked by each request. */
const pauseMs = 30_000
/** Metadata and JWK set, one after the other; whoever has not reported by then never will. */
const lookMsMax = 2 * fetchTimeoutMs + 1_000
const pollMs = 50
/** How long a request waits until the broker may look again. */
const waitMsMax = 3_000
/** Requests for one issuer that wait for a look or until one is allowed; the others are told to come back (T9). */
const waitingMax = 64
/** Only issuers of a policy come here; this bounds what replaced policies leave behind (P24). */
const sourcesMax = 4_096

interface Source {
  readonly location: KeyLocation
  readonly allowance: LookAllowance
  held?: Held
  /** Whether there was ever a key to read: an empty set says as little as an issuer that is down. */
  hadKeys: boolean
  waiting: number
  /** End of the last look that reported, well or not. */
  lookedAtMs?: number
  look?: Look
}

interface Held extends PublishedKeys {
  readonly fetchedAtMs: number
}

interface Look {
  readonly startedAtMs: number
  readonly done: Promise<void>
}

function createRemoteKeys(deps: RemoteKeysDeps): RemoteKeys {
  const { clock, sharesWork } = deps
  const lookFor = createLoadJwks(deps)
  const sources = createRecentlyUsed<Source>({ sizeMax: sourcesMax })

  return {
    current: async (location) => {
      const source = sourceAt(location)
      // While somebody looks the others go on with what there is: a slow issuer holds up one request.
      const held = heldFor(source, runningLook(source) === undefined ? lifeMs : staleMsMax)
      if (held !== undefined) return held
      if (heldFor(source, staleMsMax) === undefined) await lookWhenAllowed(source)
      else if (mayRenew(source) && source.allowance.take()) await lookNow(source)
      return heldFor(source, staleMsMax) ?? { retryAfter: retryAfterOf(source) }
    },
    refreshed: async (location) => {
      const source = sourceAt(location)
      const looked = await lookWhenAllowed(source)
      const held = heldFor(source, staleMsMax)
      return looked && held !== undefined ? held : { retryAfter: retryAfterOf(source) }
    },
  }

  function sourceAt(location: KeyLocation): Source {
    const { from, url, issuer, use } = location
    const name = JSON.stringify(from === 'discovery' ? [from, url, issuer] : [from, url, use])
    const known = sources.get(name)
    if (known !== undefined) return known
    const source: Source = { location, allowance: createLookAllowance(clock), hadKeys: false, waiting: 0 }
    sources.set(name, source)
    return source
  }

  function heldFor({ held, hadKeys }: Source, ageMsMax: number): KeySet | undefined {
    if (held === undefined || !hadKeys) return undefined
    return clock.steadyMs() - held.fetchedAtMs < ageMsMax ? held.set : undefined
  }

  function runningLook({ look }: Source): Look | undefined {
    return look !== undefined && clock.steadyMs() - look.startedAtMs < lookMsMax ? look : undefined
  }

  function mayRenew({ lookedAtMs }: Source): boolean {
    return lookedAtMs === undefined || clock.steadyMs() - lookedAtMs >= pauseMs
  }

  /** Whether a look has ended since: one's own, another's, or none because none is allowed for a while. */
  async function lookWhenAllowed(source: Source): Promise<boolean> {
    const running = runningLook(source)
    if (running !== undefined) return waitInLine(source, () => waitFor(source, running))
    if (source.allowance.take()) {
      await lookNow(source)
      return true
    }
    const pause = source.allowance.msUntilNext()
    if (pause > waitMsMax) return false
    return waitInLine(source, async () => {
      await clock.sleep(pause)
      const other = runningLook(source)
      if (other !== undefined) return waitFor(source, other)
      if (source.allowance.take()) await lookNow(source)
    })
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

  function retryAfterOf({ allowance }: Source): Seconds {
    return seconds(Math.max(1, Math.ceil(allowance.msUntilNext() / 1000)))
  }

  async function lookNow(source: Source): Promise<void> {
    const now = clock.steadyMs()
    const look = { startedAtMs: now, done: lookOnce(source, now) }
    source.look = look
    try {
      await look.done
    } finally {
      if (source.look === look) delete source.look
    }
  }

  async function waitFor(source: Source, look: Look): Promise<void> {
    if (sharesWork) return look.done
    while (runningLook(source) === look) await clock.sleep(pollMs)
  }

  async function lookOnce(source: Source, startedAtMs: number): Promise<void> {
    const published = await lookFor(source.location, source.held)
    source.lookedAtMs = clock.steadyMs()
    const isNewest = source.held === undefined || source.held.fetchedAtMs <= startedAtMs
    if (published === undefined || !isNewest) return
    source.held = { ...published, fetchedAtMs: startedAtMs }
    source.hadKeys ||= published.set.keys.length > 0
  }
}
