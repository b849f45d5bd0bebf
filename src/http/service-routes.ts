import * as z from 'zod/mini'

import type { AdminFacts } from '../domain/audit-record.ts'
import type { Caller } from '../domain/caller.ts'
import type { AdministerService } from '../lifecycle/administer-service.ts'
import type { ServiceStatus } from '../lifecycle/service-status.ts'
import { blockedCallerDocument, serviceDocument, stopDocument } from './service-documents.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type {
  BlockedCallerDocument,
  BlockedCallersDocument,
  ServiceDocument,
  StopDocument,
} from './document-schemas/service.ts'
import { shows, showsNothing } from './route-answer.ts'
import { jsonBody, noBody } from './route-body.ts'
import { noQuery } from './route-query.ts'

const name = z.string().check(z.minLength(1), z.maxLength(1_024))
const caller = jsonBody(z.strictObject({ issuer: name, subject: name }))
const none = { query: noQuery, body: noBody } as const

/** The kill switch: operators pull it, and only admins put it back. */
export const serviceRoutes = {
  readService: adminRoute({
    at: 'GET /v1/admin/service',
    needs: 'viewer',
    action: 'service.read',
    ...none,
    answer: shows<ServiceDocument>(),
  }),
  stopService: adminRoute({
    at: 'POST /v1/admin/service:stop',
    needs: 'operator',
    action: 'service.stop',
    ...none,
    answer: shows<StopDocument>(),
  }),
  resumeService: adminRoute({
    at: 'POST /v1/admin/service:resume',
    needs: 'admin',
    action: 'service.resume',
    ...none,
    answer: shows<StopDocument>(),
  }),
  listBlockedCallers: adminRoute({
    at: 'GET /v1/admin/callers',
    needs: 'viewer',
    action: 'caller.list',
    ...none,
    answer: shows<BlockedCallersDocument>(),
  }),
  revokeCaller: adminRoute({
    at: 'POST /v1/admin/callers:revoke',
    needs: 'operator',
    action: 'caller.revoke',
    query: noQuery,
    body: caller,
    aboutOf: targetOf,
    answer: shows<BlockedCallerDocument>(),
  }),
  restoreCaller: adminRoute({
    at: 'POST /v1/admin/callers:restore',
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
}

export function serveService({ service, serviceStatus }: ServiceRoutesDeps): readonly ServedRoute[] {
  const routes = serviceRoutes
  return [
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

/** As an administrator named him, and then as the blocks have him: by the exact `iss`. */
function targetOf({ issuer, subject }: Pick<Caller, 'issuer' | 'subject'>): AdminFacts {
  return { target: `${issuer}/${subject}` }
}
