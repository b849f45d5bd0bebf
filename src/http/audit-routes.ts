import * as z from 'zod/mini'
import { auditOutcomes } from '../domain/audit-record.ts'
import { requestMalformed } from '../domain/broker-error.ts'
import { eventMembers } from '../domain/event.ts'
import type { Events } from '../events/events.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { epochSeconds, formatTimestamp, parseTimestamp, type EpochSeconds } from '../domain/time.ts'
import type { Sha256 } from '../ports/entropy.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type { AuditPageDocument, EventPageDocument, TestedWebhookDocument } from './document-schemas.ts'
import { queryOf, shows } from './route-schemas.ts'

const limitDefault = 100
const limitMax = 1_000
const text = z.exactOptional(z.string().check(z.minLength(1), z.maxLength(2_048)))
// RFC 3339 §5.6 without leap seconds: what matches it is a time, so that the document promises no more than is taken.
const timePattern =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/
const time = z.exactOptional(z.string().check(z.regex(timePattern)))

const page = z.object({
  after: text,
  limit: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(limitMax)), limitDefault),
  caller: text,
  issuer: text,
  rule: text,
  credential: text,
  outcome: z.exactOptional(z.enum(auditOutcomes)),
  action: z.exactOptional(z.string().check(z.regex(/^[a-z_]+\.[a-z_]+$/))),
  since: time,
  until: time,
  request_id: text,
  /** `hide` leaves out what administrators only read. */
  reads: z.exactOptional(z.enum(['show', 'hide'])),
})

const eventPage = z.object({
  after: z.exactOptional(z.string().check(z.regex(/^\d{12}-evt_[0-9a-f]{32}$/))),
  limit: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(limitMax)), limitDefault),
})

export const auditRoutes = {
  readAudit: adminRoute({
    at: 'GET /v1/admin/audit',
    summary: 'The audit records in the store, newest first, as far as they match every filter',
    needs: 'auditor',
    action: 'audit.read',
    query: queryOf(page),
    answer: shows<AuditPageDocument>(),
  }),
  listEvents: adminRoute({
    at: 'GET /v1/admin/events',
    summary: 'What happened that somebody should know of, newest first, and whether the webhook took it',
    needs: 'any',
    action: 'event.list',
    query: queryOf(eventPage),
    answer: shows<EventPageDocument>(),
  }),
  testWebhook: adminRoute({
    at: 'POST /v1/admin/events:test',
    summary: 'Sends one event of type `test` to the webhook, and says what came of it',
    needs: 'admin',
    action: 'event.test',
    answer: shows<TestedWebhookDocument>(),
  }),
} as const

/** What the records in the store are asked for; as `records/read-audit.ts` answers it. */
interface AuditQuestion {
  readonly filter: Readonly<Record<string, string | EpochSeconds | true>>
  readonly before?: string
  readonly limit: number
}

interface AuditPage {
  readonly records: readonly Readonly<Record<string, unknown>>[]
  readonly place?: string
  readonly isComplete: boolean
}

export interface AuditRoutesDeps {
  readonly readAudit: (question: AuditQuestion) => Promise<AuditPage>
  /** Whether the trail is kept in the store. */
  readonly keepsAudit: boolean
  readonly sha256: Sha256
  readonly events: Pick<Events, 'list' | 'test'>
}

export function serveAudit({
  readAudit,
  keepsAudit,
  sha256,
  events,
}: AuditRoutesDeps): readonly ServedRoute[] {
  return [
    served(auditRoutes.readAudit, async ({ query }) => {
      const { after, limit } = query
      const filter = filterOf(query)
      const digest = (await sha256(JSON.stringify(filter))).slice(0, 16)
      const before = placeIn(after, digest)
      const found = await readAudit({ filter, limit, ...omitUndefined({ before }) })
      return {
        document: {
          records: found.records.map((record) => recordDocument(record)),
          next_after: found.place === undefined ? undefined : `${found.place}~${digest}`,
          complete: found.isComplete,
          hint: keepsAudit ? undefined : keepHint,
        },
      }
    }),
    served(auditRoutes.listEvents, async ({ query }) => {
      const { events: found, next } = await events.list(query)
      const shown = found.map((event) => ({
        id: event.id,
        ...eventMembers(event),
        delivery: event.delivery,
      }))
      return { document: { events: shown, next_after: next } }
    }),
    served(auditRoutes.testWebhook, async () => {
      const { id, receiver, reason } = await events.test()
      return { document: { id, receiver, delivered: reason === undefined, reason } }
    }),
  ]
}

const keepHint =
  'audit records go to standard output alone: with DOWNSCOPE_AUDIT=stdout+store they are kept in the store and read here'

function filterOf(query: z.output<typeof page>): AuditQuestion['filter'] {
  const { caller, issuer, rule, credential, outcome, action, request_id: requestId } = query
  return omitUndefined({
    caller,
    issuer,
    rule,
    credential,
    outcome,
    action,
    requestId,
    since: instantIn('since', query.since),
    until: instantIn('until', query.until),
    withoutReads: query.reads === 'hide' ? (true as const) : undefined,
  })
}

function instantIn(name: string, written: string | undefined): EpochSeconds | undefined {
  if (written === undefined) return undefined
  const instant = parseTimestamp(written)
  if (instant === undefined) throw requestMalformed(`${name} is no time of RFC 3339`)
  return epochSeconds(Math.max(0, instant))
}

/** The place that a page ended at; it means nothing in the answer to another question. */
function placeIn(after: string | undefined, digest: string): string | undefined {
  if (after === undefined) return undefined
  const [place = '', of] = after.split('~')
  if (of !== digest || !/^\d{12}-[\w.@-]{1,180}$/.test(place))
    throw requestMalformed('after is no next_after of this query')
  return place
}

function recordDocument(record: Readonly<Record<string, unknown>>): AuditPageDocument['records'][number] {
  const at = typeof record['at'] === 'number' ? record['at'] : 0
  return { time: formatTimestamp(epochSeconds(at)), ...record }
}
