import type { CredentialSummary, VersionSummary } from '../domain/credential.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { PolicyReading } from '../lifecycle/administer-policy.ts'

/** A credential as the admin API shows it: member by member, so that nothing secret gets in by being added. */
export function credentialDocument(credential: CredentialSummary): object {
  const { health } = credential
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
    scopes: credential.consentedScopes,
    health: { status: health.status, since: rfc3339(health.since), reason: health.reason },
    created_at: rfc3339(credential.createdAt),
    updated_at: rfc3339(credential.updatedAt),
  }
}

function versionDocument({ id, state, identity, keyId, createdAt, changedAt }: VersionSummary): object {
  return {
    id,
    state,
    identity,
    key_id: keyId,
    created_at: rfc3339(createdAt),
    changed_at: rfc3339(changedAt),
  }
}

/** A page; `next_after` is there when there may be more and goes into `?after=`. */
export function credentialPageDocument(credentials: readonly CredentialSummary[], limit: number): object {
  const next = credentials.length < limit ? undefined : credentials.at(-1)?.name
  return { credentials: credentials.map((credential) => credentialDocument(credential)), next_after: next }
}

/** `stale`: a newer document is broken and the last good one stays in force. */
export function policyDocument(policy: PolicyReading): object {
  return {
    revision: policy.revision,
    origin: policy.origin,
    status: policy.fault === undefined ? 'current' : 'stale',
    fault: policy.fault,
    loaded_at: rfc3339(policy.loadedAt),
    document: policy.text,
  }
}

function rfc3339(instant: EpochSeconds): string {
  return new Date(instant * 1000).toISOString().replace('.000Z', 'Z')
}
