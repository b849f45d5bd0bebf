import { omitUndefined } from './omit-undefined.ts'
import type { RotationStatus } from './rotation.ts'
import { scopesBeyond, type ScopeSet } from './scopes.ts'
import type { Secret } from './secret.ts'
import type { SigningAlgorithm } from './jwk.ts'
import { type EpochSeconds, seconds, type Seconds } from './time.ts'
import { signedLifeMax } from './signable.ts'
import type { Upstream } from './upstream.ts'
import type { ExchangeRequest } from './exchange-request.ts'

/** What a credential may be called: safe in a URL's path, a document's key and a log line. */
export const credentialName = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** What a token can be drawn from; each kind is minted from by one file in `src/minting/`. */
export const credentialKinds = [
  'service_account_key',
  'refresh_token',
  'client_credentials',
  'impersonation',
  'broker_identity',
  'api_key',
  'oauth_client',
] as const

export type CredentialKind = (typeof credentialKinds)[number]

/**
 * `enabled` serves, `disabled` can come back, `revoked` comes back only with a new secret; a destroyed one is gone.
 * Callers see one answer for all but `enabled`.
 */
export const credentialStates = ['enabled', 'disabled', 'revoked'] as const

export type CredentialState = (typeof credentialStates)[number]

/**
 * A version's life, in this order. `candidate`: held, not proved yet. `active`: mints; there is exactly one.
 * `retiring`: mints where the active one fails. `disabled`: kept, draws nothing. `destroyed`: its secret is gone.
 */
export const versionStates = ['candidate', 'active', 'retiring', 'disabled', 'destroyed'] as const

export type VersionState = (typeof versionStates)[number]

/** A Google service-account key; `token_uri` of the file is data and is not kept (P29). */
export interface ServiceAccountKey {
  readonly kind: 'service_account_key'
  readonly clientEmail: string
  readonly keyId: string
  /** PKCS#8 in PEM. */
  readonly privateKey: Secret
}

/** Who we are to an authorization server, and with what we prove it there. */
export type OAuthClient = {
  readonly id: string
  /**
   * The only place where it proves itself: the origin it was enrolled for. Otherwise whoever may write the policy could
   * have a secret sent to a host of their own. Absent for Google, whose addresses are settings.
   */
  readonly origin?: string
} & (
  | { readonly proof: 'secret'; readonly secret: Secret }
  | {
      readonly proof: 'key'
      /** PKCS#8 in PEM, or a JWK's JSON. */
      readonly privateKey: Secret
      readonly keyId?: string
      readonly algorithm: SigningAlgorithm
    }
  /** A public client proves nothing (RFC 6749 §2.1). */
  | { readonly proof: 'none' }
)

/** A refresh token with the client it was issued to, or the name of the credential that this client is. */
export interface RefreshToken {
  readonly kind: 'refresh_token'
  readonly client: OAuthClient | ClientReference
  readonly refreshToken: Secret
}

/** An `oauth_client` credential: whoever disables it stops all that was connected with it. */
export interface ClientReference {
  readonly proof: 'credential'
  readonly credential: string
}

/** A client that people consent to; nobody gets a token of it. */
export interface OAuthClientCredential {
  readonly kind: 'oauth_client'
  readonly client: OAuthClient
}

/** An OAuth client that gets tokens for itself (RFC 6749 §4.4). */
export interface ClientCredentials {
  readonly kind: 'client_credentials'
  readonly client: OAuthClient
}

/** A service account that another identity may act as, so that no key of it is stored (IAM Credentials API). */
export interface Impersonation {
  readonly kind: 'impersonation'
  /** The e-mail address of the account to act as. */
  readonly serviceAccount: string
  /** The e-mail addresses of the accounts in between, nearest to the source first. */
  readonly delegates: readonly string[]
}

/** Whatever the platform says the broker is: nothing is stored. */
export interface BrokerIdentity {
  readonly kind: 'broker_identity'
}

/** A key that identifies a project and nobody in it: no token, and handed out as what it is. */
export interface ApiKey {
  readonly kind: 'api_key'
  readonly key: Secret
}

/** What is sealed for one version. */
export type CredentialSecret =
  | ServiceAccountKey
  | RefreshToken
  | ClientCredentials
  | Impersonation
  | BrokerIdentity
  | ApiKey
  | OAuthClientCredential

/**
 * What tells that a refreshed token carries no more than was asked for: the reply, or the token itself where the reply
 * names more (`by_token`). `no`: nothing does, so that only who is granted the whole consent gets a token.
 */
export const narrowingWays = ['by_reply', 'by_token', 'no'] as const

export type NarrowingWay = (typeof narrowingWays)[number]

export interface Narrowing {
  /** As enrolment or a refresh showed it; absent where nothing did. */
  readonly way?: NarrowingWay
  /** A narrower token was refused a moment ago: until then none is asked for. */
  readonly refusedUntil?: EpochSeconds
}

/** A credential's health from an instant on. */
export interface HealthSpan {
  readonly status: 'unknown' | 'healthy' | 'broken'
  readonly since: EpochSeconds
  /** The true reason of the last failure; never a secret. */
  readonly reason?: string
}

/** A credential's health, as its last uses showed. A change of it never deletes anything (P17). */
export interface CredentialHealth extends HealthSpan {
  /** When it last showed, give or take half a day. */
  readonly checkedAt?: EpochSeconds
  /** Its health before, the newest first: at most 20. */
  readonly history?: readonly HealthSpan[]
}

const historyMax = 20

/** What shows now, with what it was before in its history. */
export function healthAfter(before: CredentialHealth, now: CredentialHealth): CredentialHealth {
  const { checkedAt: _, history, ...span } = before
  const isSame = before.status === now.status && before.reason === now.reason
  const past = isSame ? history : [span, ...(history ?? [])].slice(0, historyMax)
  return { ...now, ...omitUndefined({ history: past }) }
}

/**
 * What became of a revoked credential's secrets upstream. `not_possible`: nothing can be revoked there from here.
 * `failed`: it could not be done yet, and is done when it is asked for again.
 */
export const upstreamRevocations = ['done', 'already_dead', 'not_possible', 'failed'] as const

export type UpstreamRevocation = (typeof upstreamRevocations)[number]

export interface Revocation {
  readonly upstream: UpstreamRevocation
  readonly at: EpochSeconds
  /** For people: what is left to do, or why it failed; never a secret. */
  readonly detail?: string
}

/** Whose account a grant is of. */
export interface Account {
  /** Who says so: an issuer, or an upstream's name. */
  readonly issuer: string
  /** What never changes of it. */
  readonly subject: string
  /** What people call it. */
  readonly name: string
}

/** Whether it is the same account, whatever it is called now (T15). */
export function isSameAccount(one: Account, other: Account | undefined): boolean {
  return other !== undefined && one.issuer === other.issuer && one.subject === other.subject
}

/** Kinds that stand for a service account, which has an identity of its own and may have domain-wide delegation. */
export const identifiesAsAccount: ReadonlySet<CredentialKind> = new Set<CredentialKind>([
  'service_account_key',
  'impersonation',
  'broker_identity',
])

/** What an administrator may change of a credential. */
export interface CredentialOptions {
  /** A rotation begins when the active version is this old; absent, never by itself. */
  readonly rotateAfterDays?: number
  readonly boundaries?: BoundaryOptions
}

/** How access boundaries are put on a credential's tokens. */
export interface BoundaryOptions {
  /** What the Security Token Service is given; absent, a token of the granted scopes. */
  readonly source?: 'cloud-platform'
  /** Whether boundaries are sealed here, without a request for each. */
  readonly locally?: true
  /** An administrator takes it on trust that Google refuses an intermediary token alone. */
  readonly acceptUnproved?: true
  /** When it was seen that Google refuses it, for this credential. */
  readonly intermediaryRefusedAt?: EpochSeconds
}

/** All that may be shown of a credential: never a secret. */
export interface CredentialSummary extends CredentialOptions {
  readonly name: string
  readonly kind: CredentialKind
  readonly upstream: string
  readonly state: CredentialState
  /** The id of the active version. */
  readonly version: string
  /** A retiring version, which mints where the active one fails. */
  readonly standby?: string
  readonly versions: readonly VersionSummary[]
  /**
   * The credential it draws on: for impersonation, where without one it is the broker's own identity, and for what was
   * connected, whose client it is.
   */
  readonly source?: string
  /** Whose grant it is, where somebody consented here. */
  readonly account?: Account
  /** Who it is upstream: a service account's e-mail address, or an OAuth client id. */
  readonly identity: string
  /** The key in use, as the upstream names it; absent where keys have no name. */
  readonly keyId?: string
  /** The scopes consented at enrolment; absent for a key, which has no such limit. */
  readonly consentedScopes?: ScopeSet
  /** Of a refresh token: what is known of whether a refresh can give less than all that was consented. */
  readonly narrowing?: Narrowing
  /** When the upstream will take the active version no more, where it said so. */
  readonly expiresAt?: EpochSeconds
  readonly health: CredentialHealth
  /** The rotation under way. */
  readonly rotation?: RotationStatus
  /** Of a revoked credential, once its upstream was asked. */
  readonly revocation?: Revocation
  /** Changes with everything that is shown here. */
  readonly revision: number
  readonly createdAt: EpochSeconds
  readonly updatedAt: EpochSeconds
}

export interface VersionSummary {
  /** Random, so that a name enrolled again never meets tokens of its former self. */
  readonly id: string
  readonly state: VersionState
  readonly identity: string
  readonly keyId?: string
  readonly createdAt: EpochSeconds
  /** Since when it is in that state. */
  readonly changedAt: EpochSeconds
  /** When the upstream will take it no more, where it said so. */
  readonly expiresAt?: EpochSeconds
  /** Set by the rotation that replaced it. */
  readonly removal?: VersionRemoval
}

/** When a version's secret is destroyed by itself. */
export interface VersionRemoval {
  readonly dueAt: EpochSeconds
  /** Whether its key is deleted upstream as well. */
  readonly upstreamToo: boolean
}

/** What a rule or a request of these scopes lacks of the whole consent, where nothing less can be had; else nothing. */
export function missingOfConsent(
  scopes: ScopeSet,
  { kind, consentedScopes = [], narrowing }: CredentialSummary,
  upstream: Pick<Upstream, 'scopeInRefresh'> | undefined,
): ScopeSet {
  const cannotNarrow = upstream?.scopeInRefresh === 'omit' || narrowing?.way === 'no'
  return kind === 'refresh_token' && cannotNarrow ? scopesBeyond(consentedScopes, scopes) : []
}

/** What is known beforehand of the life of an upstream's tokens. */
export interface TokenLife {
  /** What it gives unasked, and never more; absent where only the token itself will tell. */
  readonly usual?: Seconds
  /** What may be asked for; absent where the upstream does not let it be chosen. */
  readonly choice?: { readonly shortest: Seconds; readonly longest: Seconds }
}

export interface TokenLifeOf {
  readonly kind: CredentialKind
  readonly upstream: string
}

/** Google gives `expires_in` of just under 3600 s, for a refresh token and for a signed assertion alike. */
const hour = seconds(3600)
const unknown: TokenLife = {}
/**
 * docs/google.md §3.1: an hour, up to twelve where an organisation policy allows it. What lives less than a minute is
 * over before it is used.
 */
const impersonated: TokenLife = {
  usual: hour,
  choice: { shortest: seconds(60), longest: seconds(12 * 3600) },
}

/** What is signed says how long it is good, and more than the rule allows is not signed. */
const signed: TokenLife = { choice: { shortest: seconds(1), longest: signedLifeMax } }

/** The life of the tokens that a credential gives: the one place that says which upstream can shorten it. */
export function tokenLifeOf(
  { kind, upstream }: TokenLifeOf,
  { tokenType, subject }: Pick<ExchangeRequest, 'tokenType' | 'subject'>,
): TokenLife {
  if (tokenType === 'signature') return signed
  switch (kind) {
    case 'service_account_key':
    case 'broker_identity':
      return { usual: hour }
    case 'refresh_token':
      return upstream === 'google' ? { usual: hour } : unknown
    case 'client_credentials':
      return unknown
    case 'impersonation':
      // Neither generateIdToken takes a lifetime, nor the token endpoint that is shown a signed assertion.
      return tokenType === 'access_token' && subject === undefined ? impersonated : { usual: hour }
    case 'api_key':
    case 'oauth_client':
      return { usual: seconds(Infinity) }
  }
}

/** The shortest life any kind of credential can give: a rule below it could never be kept. */
export const shortestLifeOfAny = seconds(60)
