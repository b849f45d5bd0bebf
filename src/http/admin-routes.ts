import type { Hono } from 'hono'
import { type Act, routePattern } from './admin-route.ts'
import { auditRoutes, serveAudit, type AuditRoutesDeps } from './audit-routes.ts'
import { serveSummary, summaryRoutes, type SummaryRoutesDeps } from './summary-routes.ts'
import { adviceRoutes, serveAdvice, type AdviceRoutesDeps } from './advice-routes.ts'
import { credentialRoutes, serveCredentials, type CredentialRoutesDeps } from './credential-routes.ts'
import { connectionRoutes, serveConnections, type ConnectionRoutesDeps } from './connection-routes.ts'
import {
  rewrapRoutes,
  serveRewrap,
  type RewrapRoutesDeps,
  serveService,
  serviceRoutes,
  type ServiceRoutesDeps,
} from './service-routes.ts'
import { serveStore, storeRoutes, type StoreRoutesDeps } from './store-routes.ts'
import { policyRoutes, servePolicy } from './policy-routes.ts'
import { rotationRoutes, serveRotation, type RotationRoutesDeps } from './rotation-routes.ts'
import type { AdministerPolicy } from '../policy/administer-policy.ts'

/** Every route of the admin API by its name. The OpenAPI document is made from this table (`npm run docs:openapi`). */
export const adminRoutes = {
  ...credentialRoutes,
  ...connectionRoutes,
  ...policyRoutes,
  ...adviceRoutes,
  ...rewrapRoutes,
  ...storeRoutes,
  ...rotationRoutes,
  ...serviceRoutes,
  ...auditRoutes,
  ...summaryRoutes,
} as const

export interface AdminRoutesDeps
  extends
    CredentialRoutesDeps,
    ConnectionRoutesDeps,
    AdviceRoutesDeps,
    RewrapRoutesDeps,
    StoreRoutesDeps,
    RotationRoutesDeps,
    ServiceRoutesDeps,
    AuditRoutesDeps,
    SummaryRoutesDeps {
  readonly act: Act
  /** Every path that a path below the issuer is reached at. */
  readonly at: (path: string) => string[]
  readonly policy: AdministerPolicy
}

export function addAdminRoutes(app: Hono, deps: AdminRoutesDeps): void {
  const routes = [
    ...serveCredentials(deps),
    ...serveConnections(deps),
    ...servePolicy(deps),
    ...serveAdvice(deps),
    ...serveRewrap(deps),
    ...serveStore(deps),
    ...serveRotation(deps),
    ...serveService(deps),
    ...serveAudit(deps),
    ...serveSummary(deps),
  ]
  for (const { at: line, serve } of routes) {
    const [method = '', template = ''] = line.split(' ')
    app.on(method, deps.at(routePattern(template)), (context) => serve(deps.act, context))
  }
}
