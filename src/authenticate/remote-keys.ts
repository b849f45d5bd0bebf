import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { Log } from '../ports/log.ts'
import { fetchTimeoutMs, type KeyLocation } from './fetch-jwks.ts'
import type { KeySet } from './key-set.ts'
import { createLookForKeys, type PublishedKeys } from './look-for-keys.ts'

export interface RemoteKeysDeps {
  readonly http: HttpClient
  readonly clock: Clock
  readonly log: Log
  /** False on Workers: there the others look at the clock instead. */
  readonly sharesWork: boolean
}

/** The published keys of issuers, kept by where they are published. Never throws for what an issuer does. */
export interface RemoteKeys {
  /** The keys, at most 5 min old while the issuer answers and 1 h when it does not; `undefined` when there are none. */
  current(location: KeyLocation): Promise<KeySet | undefined>
  /** The same after one more look, if the last one is at least 30 s ago: for a key that we have not seen (P22). */
  refreshed(location: KeyLocation): Promise<KeySet | undefined>
}

/** A removed key is dropped at the first request after this long. */
const lifeMs = 300_000
/**
 * How long keys serve when the issuer does not answer. It spans an ordinary outage or deployment, and is what a
 * platform's token commonly lives: a withdrawn key lasts no longer than the last token that it rightly signed.
 */
const staleMsMax = 3_600_000
/** Between two looks, whatever asks for them: unknown `kid`s, an empty set or a failing issuer (P22). */
const pauseMs = 30_000
/** Metadata and JWK set, one after the other; whoever has not reported by then never will. */
const lookMsMax = 2 * fetchTimeoutMs + 1_000
const pollMs = 50
/** Only issuers of a policy come here; this bounds what replaced policies leave behind (P24). */
const sourcesMax = 4_096

interface Source {
  readonly location: KeyLocation
  held?: Held
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

export function createRemoteKeys(deps: RemoteKeysDeps): RemoteKeys {
  const { clock, sharesWork } = deps
  const lookFor = createLookForKeys(deps)
  const sources = createRecentlyUsed<Source>({ sizeMax: sourcesMax })

  return {
    current: async (location) => {
      const source = sourceAt(location)
      // While somebody looks the others go on with what there is: a slow issuer holds up one request.
      const held = heldFor(source, runningLook(source) === undefined ? lifeMs : staleMsMax)
      if (held !== undefined) return held
      await lookAgain(source)
      return heldFor(source, staleMsMax)
    },
    refreshed: async (location) => {
      const source = sourceAt(location)
      await lookAgain(source)
      return heldFor(source, staleMsMax)
    },
  }

  function sourceAt(location: KeyLocation): Source {
    const { from, url, issuer } = location
    const name = JSON.stringify(from === 'discovery' ? [from, url, issuer] : [from, url])
    const known = sources.get(name)
    if (known !== undefined) return known
    const source: Source = { location }
    sources.set(name, source)
    return source
  }

  function heldFor({ held }: Source, ageMsMax: number): KeySet | undefined {
    return held !== undefined && clock.steadyMs() - held.fetchedAtMs < ageMsMax ? held.set : undefined
  }

  function runningLook({ look }: Source): Look | undefined {
    return look !== undefined && clock.steadyMs() - look.startedAtMs < lookMsMax ? look : undefined
  }

  async function lookAgain(source: Source): Promise<void> {
    const running = runningLook(source)
    if (running !== undefined) return waitFor(source, running)
    const now = clock.steadyMs()
    if (source.lookedAtMs !== undefined && now - source.lookedAtMs < pauseMs) return
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
    if (published !== undefined && isNewest) source.held = { ...published, fetchedAtMs: startedAtMs }
  }
}
