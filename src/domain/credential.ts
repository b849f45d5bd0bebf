import type { ScopeSet } from './scopes.ts'
import type { Secret } from './secret.ts'
import type { EpochSeconds } from './time.ts'

/** What a credential may be called: safe in a URL's path, a document's key and a log line. */
export const credentialName = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** What sort of long-lived secret it is; each kind is minted from by one file in `src/mint/`. */
export type CredentialKind = 'service_account_key' | 'refresh_token'

/** `enabled` serves, `disabled` can come back; a destroyed one is gone. Callers see one answer for all but `enabled`. */
export type CredentialState = 'enabled' | 'disabled'

/** A Google service-account key; `token_uri` of the file is data and is not kept (P29). */
export interface ServiceAccountKey {
  readonly kind: 'service_account_key'
  readonly clientEmail: string
  readonly keyId: string
  /** PKCS#8 in PEM. */
  readonly privateKey: Secret
}

/** A refresh token with the client it was issued to. */
export interface RefreshToken {
  readonly kind: 'refresh_token'
  readonly clientId: string
  readonly clientSecret: Secret
  readonly refreshToken: Secret
}

export type CredentialSecret = ServiceAccountKey | RefreshToken

/** How a credential fares, as its last uses showed. Changes here never delete anything (P17). */
export interface CredentialHealth {
  readonly status: 'unknown' | 'healthy' | 'broken'
  readonly since: EpochSeconds
  /** The true reason of the last failure; never a secret. */
  readonly reason?: string
}

/** All that may be shown of a credential: never a secret. */
export interface CredentialSummary {
  readonly name: string
  readonly kind: CredentialKind
  readonly upstream: string
  readonly state: CredentialState
  readonly version: string
  /** Who it is upstream: a service account's e-mail address, or an OAuth client id. */
  readonly identity: string
  /** The key in use, as the upstream names it; absent where keys have no name. */
  readonly keyId?: string
  /** The scopes consented at enrolment; absent for a key, which has no such limit. */
  readonly consentedScopes?: ScopeSet
  readonly health: CredentialHealth
  readonly createdAt: EpochSeconds
  readonly updatedAt: EpochSeconds
}
