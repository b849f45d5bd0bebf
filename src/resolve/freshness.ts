import type { MintedToken } from '../domain/token.ts'
import { seconds, type Seconds } from '../domain/time.ts'

/**
 * How good a token still is. *fresh*: served. *due*: served, and one holder refreshes ahead. *short*: below what
 * clients accept, so it is served only when no better can be had. *dead*: never served.
 */
export type Freshness = 'fresh' | 'due' | 'short' | 'dead'

/** How much life is left when a token stops being fresh, due and short. */
export interface Schedule {
  readonly dueBelow: Seconds
  readonly shortBelow: Seconds
  readonly deadBelow: Seconds
}

// For a life of 3,600 s; shorter lives scale. Each instance draws its own moment between the first two, so that a
// thousand of them do not refresh at once. Google's client libraries treat 5 minutes left as expired (Node 300 s,
// Python and Java 225 s) and would ask again on every call.
const fullLife = seconds(3_600)
const dueEarliest = seconds(900)
const dueLatest = seconds(600)
const short = seconds(300)
const dead = seconds(60)

/** The schedule of one token on this instance; `fraction` in [0, 1) draws the moment from which it is due. */
export function scheduleOf(token: Pick<MintedToken, 'issuedAt' | 'expiresAt'>, fraction: number): Schedule {
  const scale = Math.min(1, Math.max(0, token.expiresAt - token.issuedAt) / fullLife)
  return {
    dueBelow: seconds(scale * (dueLatest + fraction * (dueEarliest - dueLatest))),
    shortBelow: seconds(scale * short),
    deadBelow: seconds(scale * dead),
  }
}

export function freshnessOf(schedule: Schedule, left: Seconds): Freshness {
  if (left < 1 || left < schedule.deadBelow) return 'dead'
  if (left < schedule.shortBelow) return 'short'
  return left < schedule.dueBelow ? 'due' : 'fresh'
}
