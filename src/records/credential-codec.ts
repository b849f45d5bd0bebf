import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import {
  credentialKinds,
  credentialStates,
  narrowingWays,
  upstreamRevocations,
  versionStates,
  type BoundaryOptions,
  type CredentialHealth,
  type Narrowing,
  type Revocation,
  type VersionRemoval,
} from '../domain/credential.ts'
import type { Document, Stored } from '../ports/document-store.ts'
import {
  credentialKey,
  type CredentialRecord,
  type CredentialVersion,
  type RefreshIntent,
} from './credential-record.ts'
import { rotationDocument, rotationDocumentOf } from './rotation-codec.ts'
import { filledText, instant, leaseDocument, leaseDocumentOf, malformed } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Reads a stored document; throws `store_unavailable` naming what is wrong with it, and touches nothing. */
export function parseCredentialRecord({ key, value }: Stored): CredentialRecord {
  const parsed = credentialDocument.safeParse(value)
  if (!parsed.success) throw malformed(key, parsed.error)
  const record = parsed.data
  // A document copied to another key would lend its credential to the other name's rules.
  if (credentialKey(record.name) !== key)
    throw new BrokerError('store_unavailable', { reason: `document ${key} was moved there from another key` })
  if (record.versions.filter(({ state }) => state === 'active').length !== 1)
    throw new BrokerError('store_unavailable', {
      reason: `document ${key}: not exactly one version is active`,
    })
  return record
}

export function recordIn(stored: Stored | undefined): CredentialRecord | undefined {
  return stored === undefined ? undefined : parseCredentialRecord(stored)
}

export function credentialDocumentOf(record: CredentialRecord): Document {
  return {
    schema: 1,
    name: record.name,
    kind: record.kind,
    upstream: record.upstream,
    state: record.state,
    versions: record.versions.map(versionDocumentOf),
    ...omitUndefined({ source: record.source, consented_scopes: record.consentedScopes }),
    ...(record.narrowing === undefined ? {} : { narrowing: narrowingDocumentOf(record.narrowing) }),
    ...(record.account === undefined ? {} : { account: { ...record.account } }),
    health: {
      status: record.health.status,
      since: record.health.since,
      ...omitUndefined({ reason: record.health.reason, checked_at: record.health.checkedAt }),
    },
    ...(record.lease === undefined ? {} : { lease: leaseDocumentOf(record.lease) }),
    fence: record.fence,
    ...(record.rotation === undefined ? {} : { rotation: rotationDocumentOf(record.rotation) }),
    ...omitUndefined({ rotate_after_days: record.rotateAfterDays }),
    ...(record.boundaries === undefined ? {} : { boundaries: boundariesDocumentOf(record.boundaries) }),
    ...(record.revocation === undefined ? {} : { revocation: revocationDocumentOf(record.revocation) }),
    revision: record.revision,
    created_at: record.createdAt,
    updated_at: record.updatedAt,
  }
}

function narrowingDocumentOf({ way, refusedUntil }: Narrowing): Document {
  return {
    ...omitUndefined({ way, refused_until: refusedUntil }),
  }
}

function boundariesDocumentOf(options: BoundaryOptions): Document {
  const { source, locally, acceptUnproved, intermediaryRefusedAt } = options
  return {
    ...omitUndefined({
      source,
      locally,
      accept_unproved: acceptUnproved,
      intermediary_refused_at: intermediaryRefusedAt,
    }),
  }
}

function revocationDocumentOf({ upstream, at, detail }: Revocation): Document {
  return { upstream, at, ...omitUndefined({ detail }) }
}

function versionDocumentOf(version: CredentialVersion): Document {
  return {
    id: version.id,
    state: version.state,
    identity: version.identity,
    ...omitUndefined({ key_id: version.keyId, sealed: version.sealed }),
    generation: version.generation,
    ...(version.intent === undefined
      ? {}
      : {
          intent: {
            fence: version.intent.fence,
            generation: version.intent.generation,
            started_at: version.intent.startedAt,
            ...omitUndefined({ lost: version.intent.isLost }),
          },
        }),
    created_at: version.createdAt,
    changed_at: version.changedAt,
    ...omitUndefined({ expires_at: version.expiresAt }),
    ...(version.removal === undefined
      ? {}
      : { removal: { due_at: version.removal.dueAt, upstream_too: version.removal.upstreamToo } }),
  }
}

const healthDocument = z.pipe(
  z.object({
    status: z.enum(['unknown', 'healthy', 'broken']),
    since: instant,
    reason: z.optional(z.string()),
    checked_at: z.optional(instant),
  }),
  z.transform(({ status, since, reason, checked_at: checkedAt }): CredentialHealth => ({
    status,
    since,
    ...omitUndefined({ reason, checkedAt }),
  })),
)

const narrowingDocument = z.pipe(
  z.object({ way: z.optional(z.enum(narrowingWays)), refused_until: z.optional(instant) }),
  z.transform(({ way, refused_until: refusedUntil }): Narrowing => ({
    ...omitUndefined({ way, refusedUntil }),
  })),
)

const intentDocument = z.pipe(
  z.object({ fence: z.int(), generation: z.int(), started_at: instant, lost: z.optional(z.literal(true)) }),
  z.transform(({ started_at: startedAt, lost: isLost, ...same }): RefreshIntent => ({
    ...same,
    startedAt,
    ...omitUndefined({ isLost }),
  })),
)

const removalDocument = z.pipe(
  z.object({ due_at: instant, upstream_too: z.boolean() }),
  z.transform(({ due_at: dueAt, upstream_too: upstreamToo }): VersionRemoval => ({ dueAt, upstreamToo })),
)

const versionDocument = z.pipe(
  z.object({
    id: filledText,
    state: z.enum(versionStates),
    identity: z.string(),
    key_id: z.optional(z.string()),
    sealed: z.optional(filledText),
    generation: z.int(),
    intent: z.optional(intentDocument),
    created_at: instant,
    changed_at: instant,
    expires_at: z.optional(instant),
    removal: z.optional(removalDocument),
  }),
  z.transform(
    ({
      key_id: keyId,
      sealed,
      intent,
      created_at: createdAt,
      changed_at: changedAt,
      expires_at: expiresAt,
      removal,
      ...same
    }): CredentialVersion => ({
      ...same,
      createdAt,
      changedAt,
      ...omitUndefined({ expiresAt, keyId, sealed, intent, removal }),
    }),
  ),
)

const boundariesDocument = z.pipe(
  z.object({
    source: z.exactOptional(z.literal('cloud-platform')),
    locally: z.exactOptional(z.literal(true)),
    accept_unproved: z.exactOptional(z.literal(true)),
    intermediary_refused_at: z.exactOptional(instant),
  }),
  z.transform(
    ({
      accept_unproved: acceptUnproved,
      intermediary_refused_at: intermediaryRefusedAt,
      ...same
    }): BoundaryOptions => ({
      ...same,
      ...omitUndefined({ acceptUnproved, intermediaryRefusedAt }),
    }),
  ),
)

const revocationDocument = z.object({
  upstream: z.enum(upstreamRevocations),
  at: instant,
  detail: z.exactOptional(z.string()),
})

const credentialDocument = z.pipe(
  z.object({
    schema: z.literal(1),
    name: filledText,
    kind: z.enum(credentialKinds),
    upstream: filledText,
    state: z.enum(credentialStates),
    versions: z.array(versionDocument).check(z.minLength(1)),
    source: z.optional(filledText),
    account: z.exactOptional(z.object({ issuer: z.string(), subject: z.string(), name: z.string() })),
    consented_scopes: z.optional(z.array(z.string())),
    narrowing: z.exactOptional(narrowingDocument),
    health: healthDocument,
    lease: z.optional(leaseDocument),
    fence: z.int(),
    rotation: z.optional(rotationDocument),
    rotate_after_days: z.optional(z.int()),
    boundaries: z.exactOptional(boundariesDocument),
    revocation: z.exactOptional(revocationDocument),
    revision: z._default(z.int(), 0),
    created_at: instant,
    updated_at: instant,
  }),
  z.transform(
    ({
      schema: _schema,
      source,
      consented_scopes: consentedScopes,
      lease,
      rotation,
      rotate_after_days: rotateAfterDays,
      created_at: createdAt,
      updated_at: updatedAt,
      ...same
    }): CredentialRecord => ({
      ...same,
      createdAt,
      updatedAt,
      ...omitUndefined({ source, consentedScopes, lease, rotation, rotateAfterDays }),
    }),
  ),
)
