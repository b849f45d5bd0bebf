import * as z from 'zod/mini'
import { credentialKinds, credentialStates } from '../domain/credential.ts'
import { deliveryStates, eventTypes } from '../domain/event.ts'
import { tokenTypes } from '../domain/exchange-request.ts'
import { ruleMembers } from '../domain/policy.ts'
import { connectionStates } from '../domain/connection.ts'

/** RFC 3339, in UTC. */
export const timestamp = z.string()

const texts = z.array(z.string())

const failedSchema = z.object({ condition: z.string(), wanted: z.string(), found: z.string() })

/** `refused_then`: of a request id, what was decided at the time; the rest is what would be decided now. */
export const explanationSchema = z.object({
  outcome: z.enum(['granted', 'refused']),
  error: z.optional(z.string()),
  reason: z.optional(z.string()),
  condition: z.optional(z.string()),
  caller: z.object({ issuer: z.string(), issuer_name: z.optional(z.string()), subject: z.string() }),
  credential: z.optional(
    z.object({
      name: z.string(),
      kind: z.optional(z.enum(credentialKinds)),
      state: z.optional(z.enum(credentialStates)),
      version: z.optional(z.string()),
    }),
  ),
  rules: z.array(
    z.object({
      rule: z.string(),
      outcome: z.enum(['decides', 'does_not_match', 'not_reached']),
      failed: z.array(failedSchema),
    }),
  ),
  token: z.optional(
    z.object({
      token_type: z.enum(tokenTypes),
      scopes: texts,
      /** Those that the rule does not name; `except` has the methods that take the scope and not the one it is given by. */
      implied_scopes: z.optional(z.array(z.object({ scope: z.string(), by: z.string(), except: texts }))),
      audience: z.optional(z.string()),
      subject: z.optional(z.string()),
      access_boundary_rules: z.optional(z.array(z.unknown())),
      /** How the boundary is put on, what an exchange begins with, and why so. */
      bounding: z.optional(
        z.object({
          way: z.enum(['sealed', 'exchanged']),
          source: z.enum(['granted', 'cloud-platform']),
          why: z.string(),
        }),
      ),
      lifetime_seconds_max: z.optional(z.number()),
      upstream: z.string(),
    }),
  ),
  narrowest_scopes: z.optional(texts),
  hints: texts,
  refused_then: z.optional(
    z.object({ at: z.string(), error: z.string(), reason: z.string(), condition: z.optional(z.string()) }),
  ),
})

export const suggestionSchema = z.object({
  days: z.number(),
  observed_since: z.optional(z.string()),
  rules: z.array(
    z.object({
      rule: z.string(),
      credential: z.string(),
      advice: z.enum(['keep', 'narrow', 'remove']),
      last_used: z.optional(z.string()),
      changes: z.array(z.object({ member: z.enum(ruleMembers), now: texts, enough: texts })),
      notes: texts,
    }),
  ),
  unused_credentials: texts,
})

export type ExplanationDocument = z.input<typeof explanationSchema>
export type SuggestionDocument = z.input<typeof suggestionSchema>

const partSchema = z.object({ status: z.enum(['ok', 'fault']), reason: z.optional(z.string()) })
const byHandSchema = z.object({ by: z.string(), since: timestamp })

/** `stopped` is there as long as the service is; `everywhere_by` is when the last instance that reads the store has stopped. */
export const stopSchema = z.object({
  stopped: z.optional(byHandSchema),
  everywhere_by: z.optional(timestamp),
})

export const serviceSchema = z.object({
  version: z.string(),
  time: timestamp,
  issuer: z.string(),
  stopped: z.optional(byHandSchema),
  blocked_callers: z.int(),
  store: partSchema,
  key_ring: partSchema,
  policy: z.object({
    ...partSchema.shape,
    revision: z.optional(z.string()),
    origin: z.optional(z.string()),
    loaded_at: z.optional(timestamp),
  }),
  /** Those that this instance asked: when each answered last, or since when it does not. */
  upstreams: z.array(z.object({ name: z.string(), ...partSchema.shape, at: timestamp })),
  settings: z.record(z.string(), z.string()),
})

export const blockedCallerSchema = z.object({
  issuer: z.string(),
  subject: z.string(),
  by: z.string(),
  since: timestamp,
})

export const blockedCallersSchema = z.object({ callers: z.array(blockedCallerSchema) })

export type StopDocument = z.input<typeof stopSchema>
export type ServiceDocument = z.input<typeof serviceSchema>
export type BlockedCallerDocument = z.input<typeof blockedCallerSchema>
export type BlockedCallersDocument = z.input<typeof blockedCallersSchema>

/** What `maintenance:run` shows. */
export const maintenanceSchema = z.object({
  /** The credentials whose rotation was begun because it was due. */
  begun: z.array(z.string()),
  /** Where the rotations under way stand; `over` is the end. */
  rotations: z.array(z.object({ credential: z.string(), step: z.string(), reason: z.optional(z.string()) })),
  /** Former versions, of which nothing is left. */
  removed: z.array(z.object({ credential: z.string(), version: z.string() })),
  /** Credentials that nobody used lately, and whether they work. */
  probed: z.array(z.object({ credential: z.string(), works: z.boolean() })),
  swept: z.object({ deleted: z.int(), more_left: z.boolean() }),
  /** What the next run tries again. */
  faults: z.array(z.object({ task: z.string(), credential: z.optional(z.string()), reason: z.string() })),
  more_left: z.boolean(),
})

export type MaintenanceDocument = z.input<typeof maintenanceSchema>

/** `after` is there when there is more and goes into `?after=`; `still_in_use` counts what was looked at. */
export const rewrapSchema = z.object({
  sealing_key: z.string(),
  rewrapped: z.int(),
  already: z.int(),
  passing: z.int(),
  failed: z.array(z.object({ key: z.string(), reason: z.string() })),
  still_in_use: z.array(z.object({ key_id: z.string(), records: z.int(), until: z.optional(z.string()) })),
  after: z.optional(z.string()),
})

export type RewrapDocument = z.input<typeof rewrapSchema>

/** What became of the documents of one part of an export; `next` is there when the export goes on. */
export const importSchema = z.object({
  export: z.string(),
  next: z.optional(z.string()),
  vouched_for: z.boolean(),
  documents: z.array(
    z.object({
      key: z.string(),
      outcome: z.enum(['created', 'united', 'kept', 'left_out']),
      digest: z.optional(z.string()),
    }),
  ),
})

export type ImportDocument = z.input<typeof importSchema>

/** A record as on standard output, its time written out; members that another version adds are there too. */
const auditRecordSchema = z.looseObject({ time: timestamp })

/** `complete: false`: not all there is was looked at, and `next_after` goes on there. */
export const auditPageSchema = z.object({
  records: z.array(auditRecordSchema),
  next_after: z.optional(z.string()),
  complete: z.boolean(),
  hint: z.optional(z.string()),
})

export type AuditPageDocument = z.input<typeof auditPageSchema>

/** As the webhook has it, with its id; `delivery` is absent where no webhook was set. */
const eventSchema = z.object({
  id: z.string(),
  type: z.enum(eventTypes),
  timestamp,
  data: z.looseObject({ credential: z.optional(z.string()) }),
  delivery: z.optional(
    z.object({ state: z.enum(deliveryStates), attempts: z.int(), reason: z.optional(z.string()) }),
  ),
})

export const eventPageSchema = z.object({
  events: z.array(eventSchema),
  next_after: z.optional(z.string()),
})

/** What came of an event that was sent to try the webhook; `reason` says why it was not delivered. */
export const testedWebhookSchema = z.object({
  id: z.string(),
  receiver: z.string(),
  delivered: z.boolean(),
  reason: z.optional(z.string()),
})

export type EventPageDocument = z.input<typeof eventPageSchema>
export type TestedWebhookDocument = z.input<typeof testedWebhookSchema>

/** What maintenance keeps of everything together: `matching` of `total` credentials, of which `credentials` are some. */
export const summarySchema = z.object({
  at: timestamp,
  total: z.int(),
  matching: z.int(),
  /** Whether there are more credentials than the summary has. */
  is_cut: z.boolean(),
  credentials: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(credentialKinds),
      upstream: z.string(),
      account: z.string(),
      state: z.enum(credentialStates),
      health: z.enum(['unknown', 'healthy', 'broken']),
      attention: z.optional(z.enum(['broken', 'rotation_stuck', 'ends_soon', 'refused_often'])),
      scopes: texts,
      last_used: z.optional(timestamp),
      rotated_at: timestamp,
      ends_at: z.optional(timestamp),
      rotation: z.optional(z.string()),
      stuck: z.optional(z.string()),
      refused_today: z.int(),
      used_by: z.array(z.object({ rule: z.string(), callers: texts })),
    }),
  ),
  hours: z.array(z.object({ hour: timestamp, issued: z.int(), refused: z.int(), failed: z.int() })),
  /** Where there were more records than a page may read: up to when they are counted. Maintenance counts the rest. */
  hours_cut_at: z.optional(timestamp),
})

export type SummaryDocument = z.input<typeof summarySchema>

/** `url` is for whoever is to consent, `nonce` for whoever started it; neither is told again. */
export const startedConnectionSchema = z.object({
  id: z.string(),
  url: z.string(),
  nonce: z.string(),
  expires_at: timestamp,
})

/** `scopes` are those that came, once somebody consented; `reason` says why it was rejected. */
export const connectionSchema = z.object({
  id: z.string(),
  name: z.string(),
  upstream: z.string(),
  client: z.string(),
  state: z.enum(connectionStates),
  account: z.optional(z.string()),
  scopes: z.optional(z.array(z.string())),
  asked_scopes: z.array(z.string()),
  expected_account: z.optional(z.string()),
  reason: z.optional(z.string()),
  created_at: timestamp,
  expires_at: timestamp,
})

/** Who asks, and what policy lets them do. */
export const whoamiSchema = z.object({ issuer: z.string(), subject: z.string(), role: z.string() })

export type WhoamiDocument = z.input<typeof whoamiSchema>
export type StartedConnectionDocument = z.input<typeof startedConnectionSchema>
export type ConnectionDocument = z.input<typeof connectionSchema>
