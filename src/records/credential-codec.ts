import { rotationMethods, rotationSteps } from '../domain/rotation.ts'
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
  type HealthSpan,
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
  type Rotation,
} from './credential-record.ts'
import {
  account,
  documentOf,
  filledText,
  instant,
  lease,
  membersOf,
  readDocument,
  texts,
  writeDocument,
} from './stored-fields.ts'

/** Reads a stored document; throws `store_unavailable` naming what is wrong with it, and touches nothing. */
export function parseCredentialRecord(stored: Pick<Stored, 'key' | 'value'>): CredentialRecord {
  const { key } = stored
  const record = readDocument(credential, stored)
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
  return writeDocument(credential, record)
}

const version = membersOf<CredentialVersion>({
  id: filledText,
  state: z.enum(versionStates),
  identity: z.string(),
  keyId: z.exactOptional(z.string()),
  sealed: z.exactOptional(filledText),
  generation: z.int(),
  intent: z.exactOptional(
    membersOf<RefreshIntent>(
      { fence: z.int(), generation: z.int(), startedAt: instant, isLost: z.exactOptional(z.literal(true)) },
      { isLost: 'lost' },
    ),
  ),
  createdAt: instant,
  changedAt: instant,
  expiresAt: z.exactOptional(instant),
  removal: z.exactOptional(membersOf<VersionRemoval>({ dueAt: instant, upstreamToo: z.boolean() })),
})

const rotation = membersOf<Rotation>(
  {
    id: filledText,
    method: z.enum(rotationMethods),
    step: z.enum(rotationSteps),
    since: instant,
    startedAt: instant,
    nextTryAt: instant,
    failures: z.int(),
    reason: z.exactOptional(z.string()),
    candidate: z.exactOptional(filledText),
    former: filledText,
    lease: z.exactOptional(lease),
    fence: z.int(),
    begunAt: z.exactOptional(instant),
    proofs: z.int(),
    knownKeys: z.exactOptional(texts),
    certificate: z.exactOptional(filledText),
    consentedScopes: z.exactOptional(texts),
    withdrawsFormer: z.boolean(),
    isWithdrawalAsked: z.exactOptional(z.boolean()),
  },
  { isWithdrawalAsked: 'withdrawal_asked' },
)

const healthSpan = {
  status: z.enum(['unknown', 'healthy', 'broken']),
  since: instant,
  reason: z.exactOptional(z.string()),
}

const credential = documentOf<CredentialRecord>({
  name: filledText,
  kind: z.enum(credentialKinds),
  upstream: filledText,
  state: z.enum(credentialStates),
  versions: z.array(version).check(z.minLength(1)),
  source: z.exactOptional(filledText),
  account: z.exactOptional(account),
  consentedScopes: z.exactOptional(texts),
  narrowing: z.exactOptional(
    membersOf<Narrowing>({
      way: z.exactOptional(z.enum(narrowingWays)),
      refusedUntil: z.exactOptional(instant),
    }),
  ),
  health: membersOf<CredentialHealth>({
    ...healthSpan,
    checkedAt: z.exactOptional(instant),
    history: z.exactOptional(z.array(membersOf<HealthSpan>(healthSpan))),
  }),
  lease: z.exactOptional(lease),
  fence: z.int(),
  rotation: z.exactOptional(rotation),
  rotateAfterDays: z.exactOptional(z.int()),
  boundaries: z.exactOptional(
    membersOf<BoundaryOptions>({
      source: z.exactOptional(z.literal('cloud-platform')),
      locally: z.exactOptional(z.literal(true)),
      acceptUnproved: z.exactOptional(z.literal(true)),
      intermediaryRefusedAt: z.exactOptional(instant),
    }),
  ),
  revocation: z.exactOptional(
    membersOf<Revocation>({
      upstream: z.enum(upstreamRevocations),
      at: instant,
      detail: z.exactOptional(z.string()),
    }),
  ),
  revision: z._default(z.int(), 0),
  createdAt: instant,
  updatedAt: instant,
})
