import type { AccessBoundary } from './access-boundary.ts'
import type { Json } from './caller.ts'
import type { TokenType } from './exchange-request.ts'
import type { KeyUse, PublicJwk, SigningAlgorithm } from './jwk.ts'
import type { ScopeSet } from './scopes.ts'
import type { Seconds, EpochSeconds } from './time.ts'
import type { Upstream } from './upstream.ts'

/** The whole policy, parsed and checked; what the YAML document means. */
export interface Policy {
  readonly issuers: readonly TrustedIssuer[]
  /** Authorization servers besides Google. */
  readonly upstreams: readonly Upstream[]
  /** The first rule that matches caller and credential decides. */
  readonly rules: readonly Rule[]
  readonly admins: readonly AdminRule[]
}

/** Who may sign for callers, and within what bounds we believe it. */
export interface TrustedIssuer {
  /** The policy's name for it; rules speak of this. */
  readonly name: string
  /** The exact `iss`. */
  readonly issuer: string
  /** A service that signs its own assertions: `sub` must equal `iss`. */
  readonly selfIssued: boolean
  readonly keys: IssuerKeys
  /** Audiences accepted in `aud`; never empty: the broker's own issuer unless the policy names others. */
  readonly audiences: readonly string[]
  /** What may stand beside ours in the `aud` of a subject token. */
  readonly toleratedAudiences?: readonly string[]
  /** Kinds of token besides plain JWTs that prove a caller at token exchange. */
  readonly accepts?: readonly AcceptedTokenKind[]
  /** Asymmetric only. */
  readonly algorithms: readonly SigningAlgorithm[]
  /** Longest `exp - iat`. */
  readonly lifetimeMax: Seconds
  /** `once` stores each `jti`; `allowed` is for workload tokens that platforms hand out again. */
  readonly replay: 'once' | 'allowed'
  /** Whether a verified caller's `traceparent` is taken over (T36). */
  readonly trustsTraceparent?: true
}

/** By the `typ` in their header; RFC 9068 access tokens are off until an entry names them. */
export const acceptedTokenKinds = ['at+jwt'] as const

export type AcceptedTokenKind = (typeof acceptedTokenKinds)[number]

export type IssuerKeys =
  | { readonly from: 'inline'; readonly keys: readonly PublicJwk[] }
  | { readonly from: 'jwks_uri'; readonly url: string; readonly use?: KeyUse }
  /** OpenID Connect Discovery 1.0 §4 or RFC 8414: the metadata document's `jwks_uri`. */
  | { readonly from: 'discovery'; readonly url: string }

export interface Rule {
  readonly name: string
  /** Any of them. */
  readonly callers: readonly CallerPattern[]
  readonly credential: string
  readonly scopes: ScopeSet
  readonly excessScopes: 'refuse' | 'drop'
  /** Whether a scope that one of `scopes` implies may be had by name. */
  readonly givesImplied: boolean
  readonly lifetimeMax?: Seconds
  readonly tokenTypes: readonly TokenType[]
  /** Audiences an ID token may be for. */
  readonly idTokenAudiences: readonly string[]
  /** What may be signed; present with the token type `signature`. */
  readonly signature?: SignatureRule
  /** Users that may be acted for by domain-wide delegation, exact or with `*` inside a segment. */
  readonly subjects: readonly string[]
  /** Always applied; empty means none. */
  readonly boundary: AccessBoundary
}

/** T1, T2: whoever signs another's text gives the account away. */
export interface SignatureRule {
  /** Buckets of which URLs and POST policies are signed; `*` is all of them. */
  readonly storageBuckets: readonly string[]
  /** The `aud` that a JWT may have. */
  readonly jwtAudiences: readonly string[]
}

/** All of its parts must match. */
export interface CallerPattern {
  /** The issuer's name in this policy. */
  readonly issuer: string
  /** Exact, or with `*` standing for anything within one `:` or `/` segment. */
  readonly subject: string
  /** Claim name or JSON Pointer (RFC 6901) to wanted value; an array claim matches by membership. */
  readonly claims: Readonly<Record<string, Json>>
}

/** The lowest first. */
export const adminRoles = ['viewer', 'auditor', 'operator', 'admin'] as const

export type AdminRole = (typeof adminRoles)[number]

/** The least role that may do something; `any`: whoever has one. */
export type NeededRole = AdminRole | 'any'

// Operators and admins may do all that viewers and auditors may; those two see different things (T23).
const meets: Readonly<Record<NeededRole, ReadonlySet<AdminRole>>> = {
  any: new Set<AdminRole>(adminRoles),
  viewer: new Set<AdminRole>(['viewer', 'operator', 'admin']),
  auditor: new Set<AdminRole>(['auditor', 'operator', 'admin']),
  operator: new Set<AdminRole>(['operator', 'admin']),
  admin: new Set<AdminRole>(['admin']),
}

/** Whether one of the roles may do what `needed` may. */
export function meetsNeed(roles: readonly AdminRole[], needed: NeededRole): boolean {
  return roles.some((role) => meets[needed].has(role))
}

export interface AdminRule {
  readonly callers: readonly CallerPattern[]
  readonly role: AdminRole
}

/** What the policy could lose and still have served every request of the days looked at. */
export interface PolicySuggestion {
  readonly days: number
  /** The first day of which anything is known; later than asked for, it says that the suggestion knows less. */
  readonly observedSince?: EpochSeconds
  /** Every rule, in the order of the policy. */
  readonly rules: readonly RuleSuggestion[]
  /** Enrolled, and no rule drew on them. */
  readonly unusedCredentials: readonly string[]
}

export interface RuleSuggestion {
  readonly rule: string
  readonly credential: string
  readonly advice: 'keep' | 'narrow' | 'remove'
  /** The last day on which it gave anything. */
  readonly lastUsed?: EpochSeconds
  readonly changes: readonly RuleChange[]
  /** Why more cannot be said. */
  readonly notes: readonly string[]
}

/** The members of a rule that can say less. */
export const ruleMembers = ['scopes', 'token_types', 'subjects', 'id_token_audiences'] as const

export interface RuleChange {
  readonly member: (typeof ruleMembers)[number]
  readonly now: readonly string[]
  readonly enough: readonly string[]
}

/** What kind of warning it is: for programs, so never renamed. */
export const policyWarningCodes = [
  'issuer',
  'unknown_credential',
  'open_callers',
  'scope',
  'boundary',
  'not_kept',
  'never_reached',
] as const

export type PolicyWarningCode = (typeof policyWarningCodes)[number]

/** What a policy may say and probably should not: no fault, it means what it says. */
export interface PolicyWarning {
  /** From 1, as editors count; likewise `column`. */
  readonly line: number
  readonly column: number
  /** Such as `rules[0].scopes[1]`. */
  readonly path: string
  readonly code: PolicyWarningCode
  readonly text: string
}
