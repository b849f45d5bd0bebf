import type { AccessBoundary, Bounding } from './access-boundary.ts'
import type { Caller } from './caller.ts'
import type { CredentialKind, CredentialSummary } from './credential.ts'
import type { TokenType } from './exchange-request.ts'
import type { ScopeSet } from './scopes.ts'
import type { ToSign } from './signable.ts'
import type { Seconds } from './time.ts'
import { omitUndefined } from './omit-undefined.ts'

/** What policy allows this caller now: the request, narrowed. Everything a token depends on is in here. */
export interface Grant {
  readonly caller: Caller
  /** The name of the rule that decided. */
  readonly rule: string
  readonly credential: GrantedCredential
  /** Empty only for an ID token. */
  readonly scopes: ScopeSet
  readonly tokenType: TokenType
  /** For an ID token: whom it is for; of a signature, what it is for. */
  readonly audience?: string
  /** With a signature. */
  readonly toSign?: ToSign
  /** Domain-wide delegation: the user to act for. */
  readonly subject?: string
  readonly boundary?: AccessBoundary
  /** Present with a boundary. */
  readonly bounding?: Bounding
  /** What boundaries are sealed behind, and never what a caller gets. */
  readonly isIntermediary?: true
  /** Where and with what its upstream is asked, by the policy (`termsOf`); absent for Google. */
  readonly upstreamTerms?: string
  /** The longest life allowed; absent means whatever the upstream gives. */
  readonly lifetime?: Seconds
}

/** The credential version a grant draws on, without its secret. */
export interface GrantedCredential {
  readonly name: string
  readonly version: string
  /** A retiring version, which mints where the active one fails. */
  readonly standby?: string
  readonly kind: CredentialKind
  readonly upstream: string
  /** For impersonation: the credential it draws on; absent, the broker's own identity. */
  readonly source?: GrantedCredential
}

export function grantedCredential(
  { name, version, standby, kind, upstream }: CredentialSummary,
  source?: GrantedCredential,
): GrantedCredential {
  return {
    name,
    version,
    kind,
    upstream,
    ...omitUndefined({ standby, source }),
  }
}

/**
 * Whether all that a token was drawn from may still be drawn from. A version that was disabled takes its tokens with
 * it, wherever they lie (P26).
 */
export function isDrawnFrom(drawnFrom: readonly string[], credential: GrantedCredential): boolean {
  for (const version of drawnFrom) if (!isLive(version, credential)) return false
  return true
}

function isLive(version: string, credential: GrantedCredential): boolean {
  for (let at: GrantedCredential | undefined = credential; at !== undefined; at = at.source)
    if (version === at.version || version === at.standby) return true
  return false
}
