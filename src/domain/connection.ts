import type { Account } from './credential.ts'
import type { Caller } from './caller.ts'
import type { ScopeSet } from './scopes.ts'
import type { EpochSeconds } from './time.ts'

/** What becomes of a request for consent; `expired` is whatever was not finished in time. */
export const connectionStates = ['pending', 'consented', 'rejected', 'expired', 'finished'] as const

export type ConnectionState = (typeof connectionStates)[number]

/** A request for consent: somebody with a role asks, somebody with an account answers. */
export interface Connection {
  readonly id: string
  /** Of the credential that it brings, or brings the next version of. */
  readonly name: string
  readonly upstream: string
  /** The credential that is the OAuth client. */
  readonly client: string
  readonly scopes: ScopeSet
  readonly expectedAccount?: string
  /** Whether another account than the former version's may come. */
  readonly replacesAccount: boolean
  readonly startedBy: Pick<Caller, 'issuer' | 'subject'>
  readonly createdAt: EpochSeconds
  readonly expiresAt: EpochSeconds
  /** The credential of that name when it began. */
  readonly former?: FormerCredential
  readonly state: Exclude<ConnectionState, 'expired'>
  /** Whose grant came. */
  readonly account?: Account
  /** Those that came of those that were asked for, and in `beyond` the others that came. */
  readonly granted?: ScopeSet
  /** Why it was rejected, for people. */
  readonly reason?: string
}

export interface FormerCredential {
  readonly createdAt: EpochSeconds
  readonly scopes?: ScopeSet
  readonly account?: Account
}
