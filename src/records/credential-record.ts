import type { RotationStatus } from '../domain/rotation.ts'
import type {
  Account,
  CredentialHealth,
  CredentialKind,
  CredentialOptions,
  CredentialState,
  CredentialSummary,
  Narrowing,
  Revocation,
  VersionSummary,
} from '../domain/credential.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { DocumentKey } from '../ports/document-store.ts'
import type { Lease } from './lease.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** One document of the collection `credentials`: everything of a credential that must change together. */
export interface CredentialRecord extends CredentialOptions {
  readonly name: string
  readonly kind: CredentialKind
  readonly upstream: string
  readonly state: CredentialState
  /** In the order in which they were added; exactly one is active. */
  readonly versions: readonly CredentialVersion[]
  /** For impersonation: the credential it draws on. */
  readonly source?: string
  /** Whose grant it is, where somebody consented here. */
  readonly account?: Account
  readonly consentedScopes?: ScopeSet
  readonly narrowing?: Narrowing
  readonly health: CredentialHealth
  readonly lease?: Lease
  /** The highest fence ever given. */
  readonly fence: number
  readonly rotation?: Rotation
  readonly revocation?: Revocation
  /** Counts the changes that are shown. */
  readonly revision: number
  readonly createdAt: EpochSeconds
  readonly updatedAt: EpochSeconds
}

export interface CredentialVersion extends VersionSummary {
  /** The secret's JSON, sealed at `credentials/NAME#ID`; a destroyed version has none. */
  readonly sealed?: string
  /** Counts the secrets a rotating refresh token has gone through. */
  readonly generation: number
  /** Written before a refresh goes out and cleared with its result: a leftover tells of a crash in between. */
  readonly intent?: RefreshIntent
}

export interface RefreshIntent {
  readonly fence: number
  readonly generation: number
  readonly startedAt: EpochSeconds
  /** Refused after a former answer was lost: it is not sent again. */
  readonly isLost?: true
}

export function credentialKey(name: string): DocumentKey {
  return `credentials/${name}`
}

export function summaryOf(record: CredentialRecord): CredentialSummary {
  const active = activeVersion(record)
  const standby = record.versions.findLast(({ state }) => state === 'retiring')
  return {
    name: record.name,
    kind: record.kind,
    upstream: record.upstream,
    state: record.state,
    version: active.id,
    versions: record.versions.map(versionSummaryOf),
    identity: active.identity,
    ...omitUndefined({
      standby: standby?.id,
      source: record.source,
      account: record.account,
      keyId: active.keyId,
      consentedScopes: record.consentedScopes,
      narrowing: record.narrowing,
      expiresAt: active.expiresAt,
      rotation: record.rotation && rotationStatusOf(record.rotation),
      rotateAfterDays: record.rotateAfterDays,
      boundaries: record.boundaries,
      revocation: record.state === 'revoked' ? record.revocation : undefined,
    }),
    health: record.health,
    revision: record.revision,
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
  }
}

function versionSummaryOf(version: CredentialVersion): VersionSummary {
  const { id, state, identity, keyId, createdAt, changedAt, expiresAt, removal } = version
  return {
    id,
    state,
    identity,
    ...omitUndefined({ keyId }),
    createdAt,
    changedAt,
    ...omitUndefined({ expiresAt, removal }),
  }
}

export function activeVersion(record: CredentialRecord): CredentialVersion {
  const active = record.versions.find(({ state }) => state === 'active')
  // parseCredentialRecord has refused a record without it.
  if (active === undefined) throw new TypeError(`credential ${record.name} has no active version`)
  return active
}

/** A rotation as its credential's document holds it: enough for any instance to go on after a crash. */
export interface Rotation extends RotationStatus {
  /** The right to take the next step; `fence` tells a late holder. */
  readonly lease?: Lease
  readonly fence: number
  /** When a key was first asked for and not yet refused: there may be one upstream that nobody heard of. */
  readonly begunAt?: EpochSeconds
  /** How often in a row the candidate worked. */
  readonly proofs: number
  /** The keys there were upstream before it made one. */
  readonly knownKeys?: readonly string[]
  /** The candidate's self-signed certificate, base64 of DER: by it our key is found again upstream. */
  readonly certificate?: string
  /** What was consented with an imported refresh token. */
  readonly consentedScopes?: ScopeSet
  /** Whether the former secret is withdrawn upstream in the end, and not only here. */
  readonly withdrawsFormer: boolean
  /** Whether somebody asked for that by name: then other credentials that may go with it are no reason to wait. */
  readonly isWithdrawalAsked?: boolean
}

function rotationStatusOf(rotation: Rotation): RotationStatus {
  const { id, method, step, since, startedAt, nextTryAt, failures, reason, candidate, former } = rotation
  return {
    id,
    method,
    step,
    since,
    startedAt,
    nextTryAt,
    failures,
    ...omitUndefined({ reason, candidate }),
    former,
  }
}
