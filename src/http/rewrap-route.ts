import * as z from 'zod/mini'

import { formatTimestamp } from '../domain/time.ts'
import type { RewrapKeys, RewrapReport } from '../lifecycle/rewrap-keys.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type { RewrapDocument } from './document-schemas/rewrap.ts'
import { storedNamePattern } from './parse-admin-request.ts'
import { shows } from './route-answer.ts'
import { noBody } from './route-body.ts'
import { queryOf } from './route-query.ts'

/** With one call for each and some for the key ring, a run stays below the 1,000 that a Worker may make. */
const limitMax = 400
const limitDefault = 100

const page = z.object({
  after: z.exactOptional(
    z.string().check(z.regex(new RegExp(`^(?:credentials|tokens)/${storedNamePattern}$`))),
  ),
  limit: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(limitMax)), limitDefault),
})

export const rewrapRoutes = {
  rewrapKeys: adminRoute({
    at: 'POST /v1/admin/keys:rewrap',
    needs: 'admin',
    action: 'keys.rewrap',
    query: queryOf(page),
    body: noBody,
    answer: shows<RewrapDocument>(),
  }),
} as const

export interface RewrapRoutesDeps {
  readonly rewrapKeys: RewrapKeys
}

export function serveRewrap({ rewrapKeys }: RewrapRoutesDeps): readonly ServedRoute[] {
  return [
    served(rewrapRoutes.rewrapKeys, async ({ query }) => ({
      document: rewrapDocument(await rewrapKeys(query)),
    })),
  ]
}

function rewrapDocument(report: RewrapReport): RewrapDocument {
  return {
    sealing_key: report.sealingKey,
    rewrapped: report.rewrapped,
    already: report.already,
    passing: report.passing,
    failed: report.failed.map(({ key, reason }) => ({ key, reason })),
    still_in_use: report.stillInUse.map(({ keyId, records, until }) => ({
      key_id: keyId,
      records,
      until: until === undefined ? undefined : formatTimestamp(until),
    })),
    after: report.after,
  }
}
