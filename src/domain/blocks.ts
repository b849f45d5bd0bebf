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
}

/** The same, made ready to be asked on every request. */
export interface BlocksInForce extends Blocks {
  readonly blocked: (caller: Pick<Caller, 'issuer' | 'subject'>) => BlockedCaller | undefined
  readonly isRevoked: (digest: string) => boolean
}

export function inForce(blocks: Blocks): BlocksInForce {
  const keyOf = ({ issuer, subject }: Pick<Caller, 'issuer' | 'subject'>) => JSON.stringify([issuer, subject])
  const callers = new Map(blocks.callers.map((caller) => [keyOf(caller), caller]))
  const digests = new Set(blocks.tokens.map(({ digest }) => digest))
  return {
    ...blocks,
    // Nobody is blocked on most days, and then nothing is written out to be looked up.
    blocked: (caller) => (callers.size === 0 ? undefined : callers.get(keyOf(caller))),
    isRevoked: (digest) => digests.has(digest),
  }
}
