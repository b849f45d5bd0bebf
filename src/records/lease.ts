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

/** How many leases of other holders are watched at once; one that is evicted is watched from the beginning again. */
const leasesMax = 1_000
/** Two clocks that are each wrong by an hour (P19) differ by two: a lease that ended before that was left by a crash. */
const abandonedAfter = seconds(3 * 3600)
/**
 * A holder that waits for the store takes precedence: a failed attempt may hang for 3 s (the limit of a store adapter),
 * then it pauses for 1 s (`src/minting/store-rotated-token.ts`), and the next attempt gets 2 s.
 */
const unbrokenMs = 3_000 + 1_000 + 2_000
/** Hours after its end no holder can still be waiting for the store. */
const abandonedUnbrokenMs = 2_000
/** Between observations further apart the store may have been unavailable; a client that retries after 2 s is closer. */
const breakMs = 6_000

export interface LeaseWatch {
  /**
   * How long it is still held at most; `undefined` when it may be taken over now. `place`: what the lease is for, by a
   * name that is never given again.
   */
  left(place: string, lease: Lease | undefined): Seconds | undefined
}

interface Observation {
  readonly holder: string
  readonly fence: number
  readonly sinceMs: number
  /** Since when it has been observed without a break. */
  readonly unbrokenSinceMs: number
  readonly lastMs: number
}

/**
 * Judges leases for work that two at once would spoil, without trusting that clocks agree: a lease is over when this
 * instance has observed it unchanged for a lease's whole life by its own steady clock, and for the last 6 s of that
 * without a break. An abandoned one is taken over after 2 s, because an instance may not live longer.
 */
export function createLeaseWatch(clock: Clock): LeaseWatch {
  const observations = createRecentlyUsed<Observation>({ sizeMax: leasesMax })

  const observe = (place: string, { holder, fence }: Lease): Observation => {
    const lastMs = clock.steadyMs()
    const known = observations.get(place)
    const isSame = known?.holder === holder && known.fence === fence
    const isUnbroken = isSame && lastMs - known.lastMs <= breakMs
    const observation = {
      holder,
      fence,
      sinceMs: isSame ? known.sinceMs : lastMs,
      unbrokenSinceMs: isUnbroken ? known.unbrokenSinceMs : lastMs,
      lastMs,
    }
    observations.set(place, observation)
    return observation
  }

  return {
    left: (place, lease) => {
      if (lease === undefined) return undefined
      const { sinceMs, unbrokenSinceMs, lastMs } = observe(place, lease)
      const isAbandoned = until(clock.now(), lease.expiresAt) > abandonedAfter
      const overAtMs = isAbandoned
        ? unbrokenSinceMs + abandonedUnbrokenMs
        : Math.max(sinceMs + leaseLifeMs, unbrokenSinceMs + unbrokenMs)
      return overAtMs <= lastMs ? undefined : seconds(Math.ceil((overAtMs - lastMs) / 1000))
    },
  }
}
