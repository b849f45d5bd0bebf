import * as z from 'zod/mini'

import { formatTimestamp } from '../domain/time.ts'
import type { RewrapKeys, RewrapReport } from '../lifecycle/rewrap-keys.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
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

/** `after` is there when there is more and goes into `?after=`; `still_in_use` counts what was looked at. */
const rewrapSchema = z.object({
  sealing_key: z.string(),
  rewrapped: z.int(),
  already: z.int(),
  passing: z.int(),
  failed: z.array(z.object({ key: z.string(), reason: z.string() })),
  still_in_use: z.array(z.object({ key_id: z.string(), records: z.int(), until: z.optional(z.string()) })),
  after: z.optional(z.string()),
})

export const rewrapRoutes = {
  rewrapKeys: adminRoute({
    at: 'POST /v1/admin/keys:rewrap',
    needs: 'admin',
    action: 'keys.rewrap',
    query: queryOf(page),
    body: noBody,
    answer: shows(rewrapSchema),
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

function rewrapDocument(report: RewrapReport): z.input<typeof rewrapSchema> {
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
