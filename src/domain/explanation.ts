import type { AuditAction } from './audit-record.ts'
import type { AccessBoundary, Bounding } from './access-boundary.ts'
import type { BrokerErrorCode } from './broker-error.ts'
import type { Caller, Json } from './caller.ts'
import type { CredentialKind, CredentialState } from './credential.ts'
import type { TokenType, TokenWanted } from './exchange-request.ts'
import type { ScopeSet } from './scopes.ts'
import type { EpochSeconds, Seconds } from './time.ts'

/** The path that a request takes through policy, and what it would come to now. For administrators only. */
export interface Explanation {
  readonly outcome: 'granted' | 'refused'
  /** Of a refusal: what the caller is told, and the true reason. */
  readonly error?: BrokerErrorCode
  readonly reason?: string
  /** Of a refusal: the condition that did not hold, such as `rules`, `scopes` or `credential.state`. */
  readonly condition?: string
  readonly caller: ExplainedCaller
  /** The credential that the target names, as far as there is one. */
  readonly credential?: ExplainedCredential
  /** The rules for that credential, in the order in which they are tried. */
  readonly rules: readonly RuleExplanation[]
  /** Of a grant: what the token would carry. */
  readonly token?: ExplainedToken
  /** Of what was asked for, the scopes that would be given, without those that another of them implies. */
  readonly narrowestScopes?: ScopeSet
  /** What would help, in whole sentences. */
  readonly hints: readonly string[]
}

export interface ExplainedCaller {
  readonly issuer: string
  /** The policy's name for the issuer; absent when the policy trusts no such issuer. */
  readonly issuerName?: string
  readonly subject: string
}

export interface ExplainedCredential {
  readonly name: string
  /** Absent when no such credential is enrolled. */
  readonly kind?: CredentialKind
  readonly state?: CredentialState
  readonly version?: string
}

/** `decides`: the first one that takes the caller. Those after it are `not_reached`. */
export interface RuleExplanation {
  readonly rule: string
  readonly outcome: 'decides' | 'does_not_match' | 'not_reached'
  /** Of each caller pattern the first part that does not match. */
  readonly failed: readonly FailedCondition[]
}

export interface FailedCondition {
  /** Such as `callers[0].subject`. */
  readonly condition: string
  readonly wanted: string
  readonly found: string
}

/** A scope that a rule gives without naming it. */
export interface ImpliedScope {
  readonly scope: string
  /** The one of the rule that implies it. */
  readonly by: string
  /** The methods for which it does not: they take this scope and not that one. */
  readonly except: readonly string[]
}

export interface ExplainedToken {
  readonly tokenType: TokenType
  readonly scopes: ScopeSet
  /** Those of them that the rule does not name; absent where it names all. */
  readonly impliedScopes?: readonly ImpliedScope[]
  readonly audience?: string
  readonly subject?: string
  readonly boundary?: AccessBoundary
  /** How the boundary would be put on, and why so. */
  readonly bounding?: Bounding
  readonly lifetimeMax?: Seconds
  readonly upstream: string
}

/** One decision against a caller whose assertion verified. */
export interface RefusedRequest {
  readonly requestId: string
  readonly caller: Caller
  /** Of anything but a request for a token: what it was, and in `request` the credential that it was about. */
  readonly action?: AuditAction
  readonly request: TokenWanted
  readonly error: unknown
}

/** An act that asks for no token, in the form of what is kept of those that do. */
export function notAsked(credential = ''): TokenWanted {
  return { target: credential, scopes: [], tokenType: 'access_token' }
}

/** A refusal or failure of a known caller's request, kept for some days so that it can be explained by its id. */
export interface Refusal {
  readonly requestId: string
  readonly at: EpochSeconds
  readonly error: BrokerErrorCode | 'bug'
  readonly reason: string
  readonly condition?: string
  /** Absent for a request for a token. */
  readonly action?: AuditAction
  readonly question: ExplainQuestion
}

/** A request without its proof: who asks, and what for. */
export interface ExplainQuestion extends TokenWanted {
  /** The exact `iss`, or the policy's name for the issuer. */
  readonly issuer: string
  /** `sub` among them. */
  readonly claims: Readonly<Record<string, Json>>
}
