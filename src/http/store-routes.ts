import * as z from 'zod/mini'
import type { TransferStore } from '../maintenance/transfer-store.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type { ImportDocument } from './document-schemas.ts'
import { jsonLines, noBody, queryOf, shows, showsLines, storedNamePattern } from './route-schemas.ts'

/** With four calls for each document, an import stays below the 1,000 that a Worker may make. */
const limitMax = 200
/** A part of an export ends behind the document with which it is longer than 1,000,000, and one has 900,000 at most. */
const segmentBytesMax = 4_000_000

const flag = z._default(z.enum(['true', 'false']), 'false')

const exportQuery = z.object({
  after: z.exactOptional(z.string().check(z.regex(new RegExp(`^[a-z]+/${storedNamePattern}$`)))),
  export: z.exactOptional(z.string().check(z.regex(/^[0-9a-f-]{36}$/))),
  limit: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(limitMax)), limitMax),
  rewrap: flag,
})

const importQuery = z.object({ check: flag, policy: flag, rewrap: flag })

/** What the store holds, for a backup or another store. Sealed texts stay sealed. */
export const storeRoutes = {
  exportStore: adminRoute({
    at: 'GET /v1/admin/store',
    summary: 'The next part of an export, which ends in its digest and a MAC; `next` goes into `after`',
    needs: 'admin',
    action: 'store.export',
    query: queryOf(exportQuery),
    body: noBody,
    answer: showsLines,
  }),
  importStore: adminRoute({
    at: 'POST /v1/admin/store',
    summary:
      'Stops the service and takes in a part of an export: the stricter state wins; `check` writes nothing',
    needs: 'admin',
    action: 'store.import',
    query: queryOf(importQuery),
    body: jsonLines(segmentBytesMax),
    answer: shows<ImportDocument>(),
  }),
} as const

export interface StoreRoutesDeps {
  readonly transferStore: TransferStore
}

export function serveStore({ transferStore }: StoreRoutesDeps): readonly ServedRoute[] {
  return [
    served(storeRoutes.exportStore, async ({ query: { after, export: id, limit, rewrap } }) => ({
      document: await transferStore.exportSegment({ id, after, limit, isRewrapped: rewrap === 'true' }),
    })),
    served(storeRoutes.importStore, async ({ query: { check, policy, rewrap }, body }) => {
      const { isVouchedFor, documents, next, ...report } = await transferStore.importSegment(body, {
        isCheck: check === 'true',
        isPolicyTaken: policy === 'true',
        isRewrapped: rewrap === 'true',
      })
      return { document: { ...report, next, vouched_for: isVouchedFor, documents: [...documents] } }
    }),
  ]
}
