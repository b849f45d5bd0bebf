import * as z from 'zod/mini'
import {
  credentialKinds,
  credentialStates,
  narrowingWays,
  upstreamRevocations,
  versionStates,
} from '../domain/credential.ts'
import { rotationMethods, rotationSteps } from '../domain/rotation.ts'
import { timestamp } from './document-schemas.ts'
import { policyWarningCodes } from '../domain/policy.ts'

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

const healthSpan = {
  status: z.enum(['unknown', 'healthy', 'broken']),
  since: timestamp,
  reason: z.optional(z.string()),
}

export const credentialSchema = z.object({
  name: z.string(),
  kind: z.enum(credentialKinds),
  upstream: z.string(),
  state: z.enum(credentialStates),
  version: z.string(),
  versions: z.array(versionSchema),
  source: z.optional(z.string()),
  /** Whose grant it is, where somebody consented here. */
  account: z.optional(z.string()),
  identity: z.string(),
  key_id: z.optional(z.string()),
  scopes: z.optional(z.array(z.string())),
  /** Of a refresh token: how a token of less than all scopes is told, where that was seen. */
  narrows: z.optional(z.enum(narrowingWays)),
  expires_at: z.optional(timestamp),
  health: z.object({
    ...healthSpan,
    checked_at: z.optional(timestamp),
    /** Its health before, the newest first, 20 at most. */
    history: z.optional(z.array(z.object(healthSpan))),
  }),
  rotation: z.optional(rotationSchema),
  rotate_after_days: z.optional(z.int()),
  /** What access boundaries begin with; absent, a token of the granted scopes. */
  boundary_source: z.optional(z.literal('cloud-platform')),
  /** Whether boundaries are sealed here, without a request for each. */
  bounded_locally: z.optional(z.literal(true)),
  accept_unproved: z.optional(z.literal(true)),
  /** When Google was seen to refuse an intermediary token alone, for this credential. */
  intermediary_refused_at: z.optional(timestamp),
  /** Of a revoked one: what became of its secrets upstream. */
  revocation: z.optional(
    z.object({ upstream: z.enum(upstreamRevocations), at: timestamp, detail: z.optional(z.string()) }),
  ),
  created_at: timestamp,
  updated_at: timestamp,
  /** In the answer to an enrolment: other enabled credentials that hold the very secret. */
  also_enrolled_as: z.optional(z.array(z.string())),
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

export type VersionDocument = z.input<typeof versionSchema>
export type RotationDocument = z.input<typeof rotationSchema>
export type CredentialDocument = z.input<typeof credentialSchema>
export type RevokedCredentialDocument = z.input<typeof revokedCredentialSchema>
export type CredentialPageDocument = z.input<typeof credentialPageSchema>

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

const warnings = z.array(
  z.object({
    line: z.int(),
    column: z.int(),
    path: z.string(),
    code: z.enum(policyWarningCodes),
    text: z.string(),
  }),
)

export const appliedPolicySchema = z.object({ revision: z.string(), warnings })

export const validPolicySchema = z.object({ valid: z.literal(true), warnings })

export type PolicyDocument = z.input<typeof policySchema>
export type AppliedPolicyDocument = z.input<typeof appliedPolicySchema>
export type ValidPolicyDocument = z.input<typeof validPolicySchema>

const policyVersionFacts = { revision: z.string(), number: z.int(), by: z.string(), applied_at: timestamp }

/** The newest first, 20 at most. */
export const policyVersionsSchema = z.object({ versions: z.array(z.object(policyVersionFacts)) })

/** `former` is the revision that it replaced, where that is known. */
export const policyVersionSchema = z.object({
  ...policyVersionFacts,
  former: z.optional(z.string()),
  document: z.string(),
})

export type PolicyVersionsDocument = z.input<typeof policyVersionsSchema>
export type PolicyVersionDocument = z.input<typeof policyVersionSchema>
