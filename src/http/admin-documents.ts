import * as z from 'zod/mini'

import {
  credentialKinds,
  credentialStates,
  versionStates,
  type CredentialSummary,
  type VersionSummary,
} from '../domain/credential.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { PolicyReading } from '../lifecycle/administer-policy.ts'

// What the admin API shows, as schemas: the OpenAPI document is made of them, and the compiler holds each document to
// its schema. Nothing is checked against them while serving.

/** RFC 3339, in UTC. */
export const timestamp = z.string()

const versionSchema = z.object({
  id: z.string(),
  state: z.enum(versionStates),
  identity: z.string(),
  key_id: z.optional(z.string()),
  created_at: timestamp,
  changed_at: timestamp,
  /** When the upstream will take it no more, where it said so. */
  expires_at: z.optional(timestamp),
})

export const credentialSchema = z.object({
  name: z.string(),
  kind: z.enum(credentialKinds),
  upstream: z.string(),
  state: z.enum(credentialStates),
  version: z.string(),
  versions: z.array(versionSchema),
  source: z.optional(z.string()),
  identity: z.string(),
  key_id: z.optional(z.string()),
  scopes: z.optional(z.array(z.string())),
  expires_at: z.optional(timestamp),
  health: z.object({
    status: z.enum(['unknown', 'healthy', 'broken']),
    since: timestamp,
    reason: z.optional(z.string()),
  }),
  created_at: timestamp,
  updated_at: timestamp,
})

/** `next_after` is there when there may be more and goes into `?after=`. */
export const credentialPageSchema = z.object({
  credentials: z.array(credentialSchema),
  next_after: z.optional(z.string()),
})

/** `stale`: a newer document is broken and the last good one stays in force. */
export const policySchema = z.object({
  revision: z.string(),
  origin: z.string(),
  status: z.enum(['current', 'stale']),
  fault: z.optional(z.string()),
  loaded_at: timestamp,
  document: z.string(),
})

export const appliedPolicySchema = z.object({ revision: z.string() })

export const validPolicySchema = z.object({ valid: z.literal(true) })

/** A credential as the admin API shows it: member by member, so that nothing secret gets in by being added. */
export function credentialDocument(credential: CredentialSummary): z.input<typeof credentialSchema> {
  const { health, consentedScopes } = credential
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
    health: { status: health.status, since: rfc3339(health.since), reason: health.reason },
    created_at: rfc3339(credential.createdAt),
    updated_at: rfc3339(credential.updatedAt),
  }
}

function versionDocument(version: VersionSummary): z.input<typeof versionSchema> {
  return {
    id: version.id,
    state: version.state,
    identity: version.identity,
    key_id: version.keyId,
    created_at: rfc3339(version.createdAt),
    changed_at: rfc3339(version.changedAt),
    expires_at: optional(version.expiresAt),
  }
}

export function credentialPageDocument(
  credentials: readonly CredentialSummary[],
  limit: number,
): z.input<typeof credentialPageSchema> {
  const next = credentials.length < limit ? undefined : credentials.at(-1)?.name
  return { credentials: credentials.map((credential) => credentialDocument(credential)), next_after: next }
}

export function policyDocument(policy: PolicyReading): z.input<typeof policySchema> {
  return {
    revision: policy.revision,
    origin: policy.origin,
    status: policy.fault === undefined ? 'current' : 'stale',
    fault: policy.fault,
    loaded_at: rfc3339(policy.loadedAt),
    document: policy.text,
  }
}

function optional(instant: EpochSeconds | undefined): string | undefined {
  return instant === undefined ? undefined : rfc3339(instant)
}

export function rfc3339(instant: EpochSeconds): string {
  return new Date(instant * 1000).toISOString().replace('.000Z', 'Z')
}
