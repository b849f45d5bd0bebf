import { epochSeconds, later, seconds, type EpochSeconds, type Seconds, until } from '../domain/time.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Clock } from '../ports/clock.ts'

/** Longer than the longest mint (7 s of asking and 2 s of storing, `src/minting/`), so that no living holder is overtaken. */
const leaseLife = seconds(10)
const leaseLifeMs = leaseLife * 1000
/**
 * Instances' clocks differ: only a lease this long past its end is taken over. Clocks further apart cost a second mint,
 * which harms nobody; where it would, the lease watch below judges.
 */
const clockMargin = seconds(2)

/** The exclusive, expiring right to do one thing. `fence` grows with every holder, so a late one is recognised. */
export interface Lease {
  readonly holder: string
  readonly fence: number
  readonly expiresAt: EpochSeconds
}

export function isHeld(lease: Lease | undefined, now: EpochSeconds): lease is Lease {
  return leaseLeft(lease, now) !== undefined
}

/** How long it is still held at most; `undefined` when it may be taken over now. */
export function leaseLeft(lease: Lease | undefined, now: EpochSeconds): Seconds | undefined {
  if (lease === undefined || now > lease.expiresAt + clockMargin) return undefined
  return seconds(lease.expiresAt + clockMargin + 1 - now)
}

export function nextLease(holder: string, lastFence: number, now: EpochSeconds): Lease {
  return { holder, fence: lastFence + 1, expiresAt: later(now, leaseLife) }
}

/** When a document that holds nothing but this lease may be forgotten. */
export function leaseForgottenAt(lease: Lease): EpochSeconds {
  return epochSeconds(lease.expiresAt + clockMargin + 60)
}

/** Leases in other hands at once; one that falls out is watched anew. */
const leasesMax = 1_000
/** Two clocks that are an hour wrong each (P19) are two hours apart: what ended before that was left behind by a crash. */
const abandonedAfter = seconds(3 * 3600)
/**
 * A holder whom the store kept waiting goes first: its last try in vain hangs for 3 s, as long as a store's adapter
 * lets it, it pauses for 1 s (`src/minting/store-rotated-token.ts`), and the next try gets 2 s.
 */
const glanceMs = 3_000 + 1_000 + 2_000
/** The background of such a holder ended hours ago. */
const lateGlanceMs = 2_000
/** Between looks further apart than this the store may have been away. A caller who comes back after 2 s is not. */
const breakMs = 6_000

export interface LeaseWatch {
  /**
   * How long it is still held at most; `undefined` when it may be taken over now. `place`: what the lease is for, by a
   * name that is never given again.
   */
  left(place: string, lease: Lease | undefined): Seconds | undefined
}

interface Sight {
  readonly holder: string
  readonly fence: number
  readonly sinceMs: number
  /** Since when it is looked at without a break. */
  readonly steadilySinceMs: number
  readonly lastMs: number
}

/**
 * Judges leases for work that two at once would spoil, without trusting that clocks agree: a lease is over when this
 * instance has seen it unchanged for a lease's whole life by its own steady clock, and for the last 6 s of that without
 * a break. Whoever comes to an abandoned one hours later waits 2 s only: an instance may not live longer.
 */
export function createLeaseWatch(clock: Clock): LeaseWatch {
  const sights = createRecentlyUsed<Sight>({ sizeMax: leasesMax })

  const look = (place: string, { holder, fence }: Lease): Sight => {
    const lastMs = clock.steadyMs()
    const known = sights.get(place)
    const isSame = known?.holder === holder && known.fence === fence
    const isUnbroken = isSame && lastMs - known.lastMs <= breakMs
    const sight = {
      holder,
      fence,
      sinceMs: isSame ? known.sinceMs : lastMs,
      steadilySinceMs: isUnbroken ? known.steadilySinceMs : lastMs,
      lastMs,
    }
    sights.set(place, sight)
    return sight
  }

  return {
    left: (place, lease) => {
      if (lease === undefined) return undefined
      const { sinceMs, steadilySinceMs, lastMs } = look(place, lease)
      const isAbandoned = until(clock.now(), lease.expiresAt) > abandonedAfter
      const overAtMs = isAbandoned
        ? steadilySinceMs + lateGlanceMs
        : Math.max(sinceMs + leaseLifeMs, steadilySinceMs + glanceMs)
      return overAtMs <= lastMs ? undefined : seconds(Math.ceil((overAtMs - lastMs) / 1000))
    },
  }
}
