import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { MintedToken } from '../domain/token.ts'
import { seconds, until, type Seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'

/** A token in this instance's memory. */
export interface MemoryToken {
  readonly token: MintedToken
  /** SHA-256 of the token, so that a hit need not compute it again. */
  readonly digest: string
  readonly schedule: Schedule
  /** Steady milliseconds at the end of its life: a wall clock that is set back does not make it live longer. */
  readonly steadyEndMs: number
}

/** The tokens of this instance, bounded in number and size; entered only after authorisation. */
export interface MemoryTokens {
  get(identity: string): MemoryToken | undefined
  set(identity: string, token: MintedToken, digest: string): MemoryToken
  /** How many there were. */
  forget(isDead: (identity: string) => boolean): number
  freshness(held: MemoryToken): Freshness
  /** What is left of its life, by whichever clock says less. */
  left(held: MemoryToken): Seconds
}

export interface MemoryTokensDeps {
  readonly clock: Clock
  /** Uniform in [0, 1): draws when a token becomes due. */
  readonly fraction: () => number
  readonly entriesMax: number
}

/** Each entry counts for at least this much: a token can have 12 KiB, but hardly any has more than one. */
const bytesPerEntry = 4096
const entryOverheadBytes = 512

export function createMemoryTokens({ clock, fraction, entriesMax }: MemoryTokensDeps): MemoryTokens {
  const entries = createRecentlyUsed<MemoryToken>({
    sizeMax: entriesMax * bytesPerEntry,
    sizeOf: ({ token }, identity) =>
      Math.max(bytesPerEntry, token.secret.reveal().length + identity.length + entryOverheadBytes),
  })

  const left = ({ token, steadyEndMs }: MemoryToken): Seconds => {
    const byWall = until(token.expiresAt, clock.now())
    const bySteady = Math.floor((steadyEndMs - clock.steadyMs()) / 1000)
    return seconds(Math.min(byWall, bySteady))
  }

  return {
    get: (identity) => entries.get(identity),
    set: (identity, token, digest) => {
      // A wall clock that was set back while the token was on its way gives it no second life (P19).
      const life = Math.min(until(token.expiresAt, clock.now()), until(token.expiresAt, token.issuedAt))
      const steadyEndMs = clock.steadyMs() + life * 1000
      const held: MemoryToken = { token, digest, schedule: scheduleOf(token, fraction()), steadyEndMs }
      entries.set(identity, held)
      return held
    },
    forget: (isDead) => entries.deleteWhere(isDead),
    freshness: (held) => freshnessOf(held.schedule, left(held)),
    left,
  }
}

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
