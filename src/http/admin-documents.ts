import type { CredentialSummary, VersionSummary } from '../domain/credential.ts'
import type { RotationStatus } from '../domain/rotation.ts'
import { formatTimestamp, type EpochSeconds } from '../domain/time.ts'
import type { RevokedCredential } from '../lifecycle/revoke-credential.ts'
import type { PolicyReading } from '../lifecycle/administer-policy.ts'
import type {
  CredentialDocument,
  CredentialPageDocument,
  RevokedCredentialDocument,
  RotationDocument,
  VersionDocument,
} from './document-schemas/credential.ts'
import type { PolicyDocument } from './document-schemas/policy.ts'

/** A credential as the admin API shows it: member by member, so that nothing secret gets in by being added. */
export function credentialDocument(credential: CredentialSummary): CredentialDocument {
  const { health, consentedScopes, revocation } = credential
  return {
    name: credential.name,
    kind: credential.kind,
    upstream: credential.upstream,
    state: credential.state,
    version: credential.version,
    versions: credential.versions.map(versionDocument),
    source: credential.source,
    identity: credential.identity,
    key_id: credential.keyId,
    scopes: consentedScopes === undefined ? undefined : [...consentedScopes],
    expires_at: optional(credential.expiresAt),
    health: {
      status: health.status,
      since: formatTimestamp(health.since),
      reason: health.reason,
      checked_at: optional(health.checkedAt),
    },
    rotation: credential.rotation === undefined ? undefined : rotationDocument(credential.rotation),
    rotate_after_days: credential.rotateAfterDays,
    revocation: revocation === undefined ? undefined : { ...revocation, at: formatTimestamp(revocation.at) },
    created_at: formatTimestamp(credential.createdAt),
    updated_at: formatTimestamp(credential.updatedAt),
  }
}

export function versionDocument(version: VersionSummary): VersionDocument {
  return {
    id: version.id,
    state: version.state,
    identity: version.identity,
    key_id: version.keyId,
    created_at: formatTimestamp(version.createdAt),
    changed_at: formatTimestamp(version.changedAt),
    expires_at: optional(version.expiresAt),
    removal:
      version.removal === undefined
        ? undefined
        : {
            due_at: formatTimestamp(version.removal.dueAt),
            upstream_too: version.removal.upstreamToo,
          },
  }
}

function rotationDocument(rotation: RotationStatus): RotationDocument {
  const { id, method, step, failures, reason, candidate, former } = rotation
  return {
    id,
    method,
    step,
    since: formatTimestamp(rotation.since),
    started_at: formatTimestamp(rotation.startedAt),
    next_try_at: formatTimestamp(rotation.nextTryAt),
    failures,
    reason,
    candidate,
    former,
  }
}

export function revokedCredentialDocument({
  credential,
  revocation,
}: RevokedCredential): RevokedCredentialDocument {
  return { local: 'done', ...revocation, credential: credentialDocument(credential) }
}

export function credentialPageDocument(
  credentials: readonly CredentialSummary[],
  limit: number,
): CredentialPageDocument {
  const next = credentials.length < limit ? undefined : credentials.at(-1)?.name
  return { credentials: credentials.map((credential) => credentialDocument(credential)), next_after: next }
}

export function policyDocument(policy: PolicyReading): PolicyDocument {
  return {
    revision: policy.revision,
    origin: policy.origin,
    status: policy.fault === undefined ? 'current' : 'stale',
    fault: policy.fault,
    latest_revision: policy.latestRevision,
    loaded_at: formatTimestamp(policy.loadedAt),
    document: policy.text,
  }
}

function optional(instant: EpochSeconds | undefined): string | undefined {
  return instant === undefined ? undefined : formatTimestamp(instant)
}
