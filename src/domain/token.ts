import type { TokenType } from './exchange-request.ts'
import type { Grant } from './grant.ts'
import type { ScopeSet } from './scopes.ts'
import type { Secret } from './secret.ts'
import { seconds, type EpochSeconds, type Seconds } from './time.ts'

/** Google gives an hour, and twelve by exception: more than a day is a mistake, and no short-lived token. */
export const tokenLifeMax = seconds(86_400)

/** A token as the upstream gave it, judged and found no wider than what was asked. */
export interface MintedToken {
  readonly secret: Secret
  readonly tokenType: TokenType
  /** What it really carries. */
  readonly scopes: ScopeSet
  /** The credential versions it was drawn from: its own, and its source's. */
  readonly drawnFrom: readonly string[]
  readonly issuedAt: EpochSeconds
  readonly expiresAt: EpochSeconds
  /** Of a signature: with which key it was made, and the SHA-256 in lower-case hex of what was signed. */
  readonly signed?: { readonly keyId: string; readonly digest: string }
}

/** Mints a token from its upstream by a deadline of the steady clock. */
export type MintBy = (grant: Grant, deadlineMs: number) => Promise<MintedToken>

/** The same; without a deadline of the request there still is one. */
export type Mint = (grant: Grant, deadlineMs?: number) => Promise<MintedToken>

/** Where the token came from: this instance's memory, the shared store, or the upstream just now. */
export type TokenSource = 'memory' | 'store' | 'mint'

/** A token on its way to the caller. */
export interface ResolvedToken {
  readonly token: MintedToken
  /** SHA-256 of the token in lower-case hex: what logs and audit records show in its place. */
  readonly digest: string
  readonly source: TokenSource
  /** What is left of its life now, by whichever clock says less. */
  readonly remaining: Seconds
}

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
