import * as z from 'zod/mini'
import type { AdminFacts } from '../domain/audit-record.ts'
import type { Caller } from '../domain/caller.ts'
import type { AdminRole } from '../domain/policy.ts'
import type {
  BlockedCallerDocument,
  BlockedCallersDocument,
  RewrapDocument,
  ServiceDocument,
  StopDocument,
  WhoamiDocument,
  ImportDocument,
} from './document-schemas.ts'
import type { AdministerService, ServiceStatus } from '../service/administer-service.ts'
import { blockedCallerDocument, serviceDocument, stopDocument } from './admin-documents.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import {
  shows,
  showsNothing,
  jsonBody,
  storedNamePattern,
  queryOf,
  jsonLines,
  showsLines,
} from './route-schemas.ts'
import { formatOptional } from '../domain/time.ts'
import type { RewrapKeys, RewrapReport } from '../maintenance/rewrap-keys.ts'
import type { TransferStore } from '../maintenance/transfer-store.ts'

const name = z.string().check(z.minLength(1), z.maxLength(1_024))
const caller = jsonBody(z.strictObject({ issuer: name, subject: name }))
/** The kill switch: operators pull it, and only admins put it back. */
export const serviceRoutes = {
  whoami: adminRoute({
    at: 'GET /v1/admin/whoami',
    summary: 'Who asks, and the highest role that policy gives them',
    needs: 'any',
    action: 'admin.whoami',
    answer: shows<WhoamiDocument>(),
  }),
  readService: adminRoute({
    at: 'GET /v1/admin/service',
    summary:
      'The status of this instance: version, clock, store, key ring, policy, stop and blocks, settings',
    needs: 'viewer',
    action: 'service.read',
    answer: shows<ServiceDocument>(),
  }),
  stopService: adminRoute({
    at: 'POST /v1/admin/service:stop',
    summary:
      'The kill switch: no instance that can read the store serves a token 10 s later; the admin API goes on',
    needs: 'operator',
    action: 'service.stop',
    answer: shows<StopDocument>(),
  }),
  resumeService: adminRoute({
    at: 'POST /v1/admin/service:resume',
    summary: 'Lets tokens be served again',
    needs: 'admin',
    action: 'service.resume',
    answer: shows<StopDocument>(),
  }),
  listBlockedCallers: adminRoute({
    at: 'GET /v1/admin/callers',
    summary: 'The callers that are blocked',
    needs: 'viewer',
    action: 'caller.list',
    answer: shows<BlockedCallersDocument>(),
  }),
  revokeCaller: adminRoute({
    at: 'POST /v1/admin/callers:revoke',
    summary:
      'Blocks a caller: within 10 s no instance that can read the store gives it a token or lets it use the admin API',
    needs: 'operator',
    action: 'caller.revoke',
    body: caller,
    aboutOf: targetOf,
    answer: shows<BlockedCallerDocument>(),
  }),
  restoreCaller: adminRoute({
    at: 'POST /v1/admin/callers:restore',
    summary: 'Lets a blocked caller in again, as far as policy does',
    needs: 'admin',
    action: 'caller.restore',
    body: caller,
    aboutOf: targetOf,
    answer: showsNothing,
  }),
} as const

export interface ServiceRoutesDeps {
  readonly service: AdministerService
  readonly serviceStatus: () => Promise<ServiceStatus>
  /** The highest first. */
  readonly rolesOf: (caller: Caller) => Promise<readonly AdminRole[]>
}

export function serveService({ service, serviceStatus, rolesOf }: ServiceRoutesDeps): readonly ServedRoute[] {
  const routes = serviceRoutes
  return [
    served(routes.whoami, async ({ caller: { issuer, subject }, caller: who }) => {
      const [role = 'viewer'] = await rolesOf(who)
      return { document: { issuer, subject, role } }
    }),
    served(routes.readService, async () => ({ document: serviceDocument(await serviceStatus()) })),
    served(routes.stopService, async ({ caller: by }) => ({
      document: stopDocument(await service.stop(by)),
    })),
    served(routes.resumeService, async () => ({ document: stopDocument(await service.resume()) })),
    served(routes.listBlockedCallers, async () => ({
      document: { callers: (await service.blockedCallers()).map(blockedCallerDocument) },
    })),
    served(routes.revokeCaller, async ({ body, caller: by, note }) => {
      const blocked = await service.blockCaller(body, by)
      note(targetOf(blocked))
      return { document: blockedCallerDocument(blocked) }
    }),
    served(routes.restoreCaller, async ({ body, note }) => {
      note(targetOf(await service.unblockCaller(body)))
      return { document: undefined }
    }),
  ]
}

/** A caller as an administrator named it, and then as the blocks have it: by the exact `iss`. */
function targetOf({ issuer, subject }: Pick<Caller, 'issuer' | 'subject'>): AdminFacts {
  return { target: `${issuer}/${subject}` }
}

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
    summary: 'Seals the next `limit` records anew under the first key of the ring',
    needs: 'admin',
    action: 'keys.rewrap',
    query: queryOf(page),
    answer: shows<RewrapDocument>(),
  }),
} as const

export function serveRewrap(rewrapKeys: RewrapKeys): readonly ServedRoute[] {
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
      until: formatOptional(until),
    })),
    after: report.after,
  }
}

/** With five calls for each document, an import stays below the 1,000 that a Worker may make. */
const documentsMax = 150
/** A part of an export ends behind the document with which it is longer than 1,000,000, and one has 900,000 at most. */
const segmentBytesMax = 4_000_000

const flag = z._default(z.enum(['true', 'false']), 'false')

const exportQuery = z.object({
  after: z.exactOptional(z.string().check(z.regex(new RegExp(`^[a-z]+/${storedNamePattern}$`)))),
  export: z.exactOptional(z.string().check(z.regex(/^[0-9a-f-]{36}$/))),
  limit: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(documentsMax)), documentsMax),
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

export function serveStore(transferStore: TransferStore): readonly ServedRoute[] {
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
