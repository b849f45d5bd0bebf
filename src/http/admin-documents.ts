import * as z from 'zod/mini'

import {
  credentialKinds,
  credentialStates,
  upstreamRevocations,
  versionStates,
  type CredentialSummary,
  type VersionSummary,
} from '../domain/credential.ts'
import { rotationMethods, rotationSteps, type RotationStatus } from '../domain/rotation.ts'
import { formatTimestamp, type EpochSeconds } from '../domain/time.ts'
import type { RevokedCredential } from '../lifecycle/revoke-credential.ts'
import type { PolicyReading } from '../lifecycle/administer-policy.ts'

// What the admin API shows, as schemas: the OpenAPI document is made of them, and the compiler holds each document to
// its schema. Nothing is checked against them while serving.

/** RFC 3339, in UTC. */
export const timestamp = z.string()

export const versionSchema = z.object({
  id: z.string(),
  state: z.enum(versionStates),
  identity: z.string(),
  key_id: z.optional(z.string()),
  created_at: timestamp,
  changed_at: timestamp,
  /** When the upstream will take it no more, where it said so. */
  expires_at: z.optional(timestamp),
  /** When its secret is destroyed by itself, and whether its key is deleted upstream as well. */
  removal: z.optional(z.object({ due_at: timestamp, upstream_too: z.boolean() })),
})

const rotationSchema = z.object({
  id: z.string(),
  method: z.enum(rotationMethods),
  step: z.enum(rotationSteps),
  since: timestamp,
  started_at: timestamp,
  next_try_at: timestamp,
  failures: z.int(),
  /** Why it could not go on when it was last tried. */
  reason: z.optional(z.string()),
  candidate: z.optional(z.string()),
  former: z.string(),
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
    checked_at: z.optional(timestamp),
  }),
  rotation: z.optional(rotationSchema),
  rotate_after_days: z.optional(z.int()),
  /** Of a revoked one: what became of its secrets upstream. */
  revocation: z.optional(
    z.object({ upstream: z.enum(upstreamRevocations), at: timestamp, detail: z.optional(z.string()) }),
  ),
  created_at: timestamp,
  updated_at: timestamp,
})

/** `local` is done whenever there is an answer; the upstream part may be asked for again. */
export const revokedCredentialSchema = z.object({
  local: z.literal('done'),
  upstream: z.enum(upstreamRevocations),
  detail: z.optional(z.string()),
  credential: credentialSchema,
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
  /** Of that document, where it could be read: the `ETag` is its, and who applies another replaces it. */
  latest_revision: z.optional(z.string()),
  loaded_at: timestamp,
  document: z.string(),
})

const warnings = z.array(z.object({ line: z.int(), column: z.int(), path: z.string(), text: z.string() }))

export const appliedPolicySchema = z.object({ revision: z.string(), warnings })

export const validPolicySchema = z.object({ valid: z.literal(true), warnings })

/** A credential as the admin API shows it: member by member, so that nothing secret gets in by being added. */
export function credentialDocument(credential: CredentialSummary): z.input<typeof credentialSchema> {
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

export function versionDocument(version: VersionSummary): z.input<typeof versionSchema> {
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

function rotationDocument(rotation: RotationStatus): z.input<typeof rotationSchema> {
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
}: RevokedCredential): z.input<typeof revokedCredentialSchema> {
  return { local: 'done', ...revocation, credential: credentialDocument(credential) }
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
    latest_revision: policy.latestRevision,
    loaded_at: formatTimestamp(policy.loadedAt),
    document: policy.text,
  }
}

function optional(instant: EpochSeconds | undefined): string | undefined {
  return instant === undefined ? undefined : formatTimestamp(instant)
}
