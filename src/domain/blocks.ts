import type { Caller } from './caller.ts'
import type { EpochSeconds } from './time.ts'

/** Who switched something off by hand, and when. */
export interface BlockedBy {
  /** `ISSUER/SUBJECT` of the administrator. */
  readonly by: string
  readonly since: EpochSeconds
}

export interface BlockedCaller extends BlockedBy {
  /** The exact `iss`. */
  readonly issuer: string
  readonly subject: string
}

export interface RevokedToken {
  /** SHA-256 in lower-case hex. */
  readonly digest: string
  readonly expiresAt: EpochSeconds
  /** Who revoked it, as SHA-256 of issuer and subject: each caller may fill only its share of the list. */
  readonly by: string
}

/** What is switched off by hand, over all that policy says. */
export interface Blocks {
  /** Absent: tokens are served. */
  readonly stopped?: BlockedBy
  readonly callers: readonly BlockedCaller[]
  readonly tokens: readonly RevokedToken[]
  readonly tickets?: EndedTickets
}

/**
 * Which tickets a stop or a block has ended; resuming and restoring bring none back (T5). A count, not a time, so that
 * what an instance issues before it has heard of the stop is ended too.
 */
export interface EndedTickets {
  /** Grows with each stop and block. A ticket says at which it was issued. */
  readonly count: number
  /** All below this are over. */
  readonly below: number
  /** Of callers who were blocked lately: theirs below `count` are over. */
  readonly callers: readonly (Pick<Caller, 'issuer' | 'subject'> & {
    readonly count: number
    readonly at: EpochSeconds
  })[]
}

/** The same, made ready to be asked on every request. */
export interface BlocksInForce extends Blocks {
  readonly blocked: (caller: Pick<Caller, 'issuer' | 'subject'>) => BlockedCaller | undefined
  readonly isRevoked: (digest: string) => boolean
  /** Below which count a caller's tickets are over. */
  readonly ticketsEndedBelow: (caller: Pick<Caller, 'issuer' | 'subject'>) => number
}

export function inForce(blocks: Blocks): BlocksInForce {
  const keyOf = ({ issuer, subject }: Pick<Caller, 'issuer' | 'subject'>) => JSON.stringify([issuer, subject])
  const callers = new Map(blocks.callers.map((caller) => [keyOf(caller), caller]))
  const digests = new Set(blocks.tokens.map(({ digest }) => digest))
  const ended = new Map(blocks.tickets?.callers.map((caller) => [keyOf(caller), caller.count]))
  return {
    ...blocks,
    // Nobody is blocked on most days, and then nothing is written out to be looked up.
    blocked: (caller) => (callers.size === 0 ? undefined : callers.get(keyOf(caller))),
    isRevoked: (digest) => digests.has(digest),
    ticketsEndedBelow: (caller) => Math.max(blocks.tickets?.below ?? 0, ended.get(keyOf(caller)) ?? 0),
  }
}
