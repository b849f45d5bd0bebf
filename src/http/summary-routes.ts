import * as z from 'zod/mini'
import { credentialKinds, credentialStates } from '../domain/credential.ts'
import { formatOptional, formatTimestamp } from '../domain/time.ts'
import type { ReadSummary, SummaryPage } from '../maintenance/read-summary.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type { SummaryDocument } from './document-schemas.ts'
import { queryOf, shows, storedName } from './route-schemas.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

const limitMax = 50

const page = z.object({
  /** Only this one. */
  name: z.exactOptional(z.string().check(z.regex(storedName))),
  search: z.exactOptional(z.string().check(z.minLength(1), z.maxLength(200))),
  kind: z.exactOptional(z.enum(credentialKinds)),
  state: z.exactOptional(z.enum(credentialStates)),
  /** Only those that want somebody's attention. */
  attention: z.exactOptional(z.literal('true')),
  sort: z._default(z.enum(['name', 'last_used', 'rotated_at', 'ends_at']), 'name'),
  offset: z._default(z.coerce.number().check(z.int(), z.minimum(0), z.maximum(1_000_000)), 0),
  limit: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(limitMax)), limitMax),
})

export const summaryRoutes = {
  readSummary: adminRoute({
    at: 'GET /v1/admin/summary',
    summary:
      'The credentials that match, 50 at most, with what wants attention, and what requests came to by the hour',
    needs: 'viewer',
    action: 'summary.read',
    query: queryOf(page),
    answer: shows<SummaryDocument>(),
  }),
} as const

export function serveSummary(readSummary: ReadSummary): readonly ServedRoute[] {
  return [
    served(summaryRoutes.readSummary, async ({ query }) => {
      const { attention, ...wanted } = query
      const found = await readSummary({ ...wanted, needsAttention: attention === 'true' })
      return { document: summaryDocument(found) }
    }),
  ]
}

function summaryDocument(page: SummaryPage): SummaryDocument {
  const { at, total, matching, isCut, rows, hours, hoursCutAt } = page
  return {
    at: formatTimestamp(at),
    total,
    matching,
    is_cut: isCut,
    credentials: rows.map(({ row, attention, refusedToday, usedBy }) => ({
      name: row.name,
      kind: row.kind,
      upstream: row.upstream,
      account: row.account,
      state: row.state,
      health: row.health,
      scopes: [...row.scopes],
      rotated_at: formatTimestamp(row.rotatedAt),
      refused_today: refusedToday,
      used_by: usedBy.map(({ rule, callers }) => ({ rule, callers: [...callers] })),
      ...omitUndefined({
        attention,
        rotation: row.rotation,
        stuck: row.stuck,
        last_used: formatOptional(row.lastUsed),
        ends_at: formatOptional(row.endsAt),
      }),
    })),
    hours: hours.map(({ hour, issued, refused, failed }) => ({
      hour: formatTimestamp(hour),
      issued,
      refused,
      failed,
    })),
    hours_cut_at: formatOptional(hoursCutAt),
  }
}
