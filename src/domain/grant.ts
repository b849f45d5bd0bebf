import type { AccessBoundary } from './access-boundary.ts'
import type { Caller } from './caller.ts'
import type { CredentialKind } from './credential.ts'
import type { TokenType } from './exchange-request.ts'
import type { ScopeSet } from './scopes.ts'
import type { Seconds } from './time.ts'

/** What policy allows this caller now: the request, narrowed. Everything a token depends on is in here. */
export interface Grant {
  readonly caller: Caller
  /** The name of the rule that decided. */
  readonly rule: string
  readonly credential: GrantedCredential
  /** Empty only for an ID token. */
  readonly scopes: ScopeSet
  readonly tokenType: TokenType
  /** For an ID token: whom it is for. */
  readonly audience?: string
  /** Domain-wide delegation: the user to act for. */
  readonly subject?: string
  readonly boundary?: AccessBoundary
  /** The longest life allowed; absent means whatever the upstream gives. */
  readonly lifetime?: Seconds
}

/** The credential version a grant draws on, without its secret. */
export interface GrantedCredential {
  readonly name: string
  readonly version: string
  readonly kind: CredentialKind
  readonly upstream: string
}
