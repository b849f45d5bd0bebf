import { epochSeconds, later, seconds, type EpochSeconds, type Seconds } from '../domain/time.ts'

/** Longer than the longest mint (5 s of asking and 2 s of storing, `src/mint/`), so that no living holder is overtaken. */
const leaseLife = seconds(10)
export const leaseLifeMs = leaseLife * 1000
/**
 * Instances' clocks differ: only a lease this long past its end is taken over. Clocks further apart cost a second mint,
 * which harms nobody; where it would, `lease-watch.ts` judges.
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
