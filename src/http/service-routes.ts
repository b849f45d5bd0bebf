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
} from './document-schemas.ts'
import type { AdministerService, ServiceStatus } from '../service/administer-service.ts'
import { blockedCallerDocument, serviceDocument, stopDocument } from './admin-documents.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import {
  shows,
  showsNothing,
  jsonBody,
  noBody,
  noQuery,
  storedNamePattern,
  queryOf,
} from './route-schemas.ts'
import { formatTimestamp } from '../domain/time.ts'
import type { RewrapKeys, RewrapReport } from '../maintenance/rewrap-keys.ts'

const name = z.string().check(z.minLength(1), z.maxLength(1_024))
const caller = jsonBody(z.strictObject({ issuer: name, subject: name }))
const none = { query: noQuery, body: noBody } as const

/** The kill switch: operators pull it, and only admins put it back. */
export const serviceRoutes = {
  whoami: adminRoute({
    at: 'GET /v1/admin/whoami',
    summary: 'Who asks, and the highest role that policy gives them',
    needs: 'any',
    action: 'admin.whoami',
    ...none,
    answer: shows<WhoamiDocument>(),
  }),
  readService: adminRoute({
    at: 'GET /v1/admin/service',
    summary: 'How this instance fares: version, clock, store, key ring, policy, switches, settings',
    needs: 'viewer',
    action: 'service.read',
    ...none,
    answer: shows<ServiceDocument>(),
  }),
  stopService: adminRoute({
    at: 'POST /v1/admin/service:stop',
    summary:
      'The kill switch: no instance that can read the store serves a token 10 s later; the admin API goes on',
    needs: 'operator',
    action: 'service.stop',
    ...none,
    answer: shows<StopDocument>(),
  }),
  resumeService: adminRoute({
    at: 'POST /v1/admin/service:resume',
    summary: 'Lets tokens be served again',
    needs: 'admin',
    action: 'service.resume',
    ...none,
    answer: shows<StopDocument>(),
  }),
  listBlockedCallers: adminRoute({
    at: 'GET /v1/admin/callers',
    summary: 'The callers that are blocked',
    needs: 'viewer',
    action: 'caller.list',
    ...none,
    answer: shows<BlockedCallersDocument>(),
  }),
  revokeCaller: adminRoute({
    at: 'POST /v1/admin/callers:revoke',
    summary:
      'Blocks a caller: within 10 s no instance that can read the store gives it a token or lets it use the admin API',
    needs: 'operator',
    action: 'caller.revoke',
    query: noQuery,
    body: caller,
    aboutOf: targetOf,
    answer: shows<BlockedCallerDocument>(),
  }),
  restoreCaller: adminRoute({
    at: 'POST /v1/admin/callers:restore',
    summary: 'Lets a blocked caller in again, as far as policy does',
    needs: 'admin',
    action: 'caller.restore',
    query: noQuery,
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
