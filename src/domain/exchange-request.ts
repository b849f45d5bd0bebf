import type { AccessBoundary } from './access-boundary.ts'
import type { ScopeSet } from './scopes.ts'
import type { Secret } from './secret.ts'
import type { Seconds } from './time.ts'
import type { ToSign } from './signable.ts'

/**
 * An API key and a signature are no tokens at all (docs/downscoping.md, docs/signing.md), but policy gives them and the
 * pipeline hands them out like one.
 */
export const tokenTypes = ['access_token', 'id_token', 'api_key', 'signature'] as const

export type TokenType = (typeof tokenTypes)[number]

/** One proof of identity and the form in which it came; the form decides how a rejection is answered. */
export interface Proof {
  /** `bearer`: at the methods of IAM Credentials, where it may be a ticket (`authentication/tickets.ts`). */
  readonly form: 'client_assertion' | 'subject_token' | 'admin_bearer' | 'bearer'
  readonly assertion: Secret
  /**
   * Of a subject token at token exchange: which kinds of token it may be. `marked`: an RFC 9068 access token as well, by
   * its `typ`; `access_token`: it is said to be one. Absent, none may.
   */
  readonly accessToken?: 'marked' | 'access_token'
  /** RFC 7521 §4.2: optional, and must agree with the assertion's subject when it is there. */
  readonly clientId?: string
  /** A ticket was issued for it, which spent the one use that it may have. */
  readonly isSpent?: true
}

/** What is asked for, apart from who asks and with which proof. */
export interface TokenWanted {
  /**
   * The `audience` parameter as sent: a credential's name, `//HOST/credentials/NAME` or `ISSUER/credentials/NAME`; `//HOST`
   * for a ticket; and what IAM Credentials calls it, `projects/-/serviceAccounts/EMAIL`.
   */
  readonly target: string
  /** Empty means: all that the rule allows. */
  readonly scopes: ScopeSet
  readonly tokenType: TokenType
  /** The `resource` parameter: the absolute URI an ID token is for; of a signature, what it is for (`domain/signable.ts`). */
  readonly resource?: string
  /** The `requested_subject` parameter: whom to act for by domain-wide delegation. */
  readonly subject?: string
  readonly lifetime?: Seconds
  readonly boundary?: AccessBoundary
}

/** What a caller asks of `POST /v1/token`, parsed and bounded, believed in nothing yet. */
export interface ExchangeRequest extends TokenWanted {
  readonly proof: Proof
  /** For a signature; absent where what was sent is nothing that is ever signed. */
  readonly toSign?: ToSign
}
