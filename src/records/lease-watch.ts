import { createRecentlyUsed } from '../domain/recently-used.ts'
import { seconds, until, type Seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentKey } from '../ports/document-store.ts'
import { leaseLifeMs, type Lease } from './lease.ts'

/** Leases in other hands at once; one that falls out is watched anew. */
const leasesMax = 1_000
/** No clock is this wrong: what ended so long ago was left behind by a crash, and one glance is enough. */
const abandonedAfter = seconds(300)
/** A living holder is mostly done in a tenth of this. */
const glanceMs = 2_000

export interface LeaseWatch {
  /** How long it is still held at most; `undefined` when it may be taken over now. */
  left(key: DocumentKey, lease: Lease | undefined): Seconds | undefined
}

interface Sight {
  readonly holder: string
  readonly fence: number
  readonly sinceMs: number
}

/**
 * Judges leases for work that two at once would spoil, without trusting that clocks agree: a lease is over when this
 * instance has seen it unchanged for a lease's whole life by its own steady clock. Whoever comes back to an abandoned
 * one hours later waits 2 s.
 */
export function createLeaseWatch(clock: Clock): LeaseWatch {
  const sights = createRecentlyUsed<Sight>({ sizeMax: leasesMax })

  const sightOf = (key: DocumentKey, { holder, fence }: Lease): Sight => {
    const known = sights.get(key)
    if (known?.holder === holder && known.fence === fence) return known
    const sight = { holder, fence, sinceMs: clock.steadyMs() }
    sights.set(key, sight)
    return sight
  }

  return {
    left: (key, lease) => {
      if (lease === undefined) return undefined
      const isAbandoned = until(clock.now(), lease.expiresAt) > abandonedAfter
      const watchedMs = clock.steadyMs() - sightOf(key, lease).sinceMs
      const leftMs = (isAbandoned ? glanceMs : leaseLifeMs) - watchedMs
      return leftMs <= 0 ? undefined : seconds(Math.ceil(leftMs / 1000))
    },
  }
}
