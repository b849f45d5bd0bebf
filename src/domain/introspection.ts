import type { ScopeSet } from './scopes.ts'
import type { EpochSeconds } from './time.ts'

/** What may be told of a token to whoever holds it (RFC 7662). */
export type Introspection = { readonly isActive: false } | ActiveToken

export interface ActiveToken {
  readonly isActive: true
  /** Who the token speaks for upstream: a service account's e-mail address, a delegated user, or a client id. */
  readonly username: string
  readonly scopes: ScopeSet
  readonly issuedAt: EpochSeconds
  readonly expiresAt: EpochSeconds
}
