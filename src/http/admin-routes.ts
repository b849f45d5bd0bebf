import type { Hono } from 'hono'
import { type Act, routePattern, adminRoute, served, type ServedRoute } from './admin-route.ts'
import { auditRoutes, serveAudit, type AuditRoutesDeps } from './audit-routes.ts'
import { serveSummary, summaryRoutes } from './summary-routes.ts'
import { adviceRoutes, serveAdvice, type AdviceRoutesDeps } from './advice-routes.ts'
import { credentialRoutes, serveCredentials, type CredentialRoutesDeps } from './credential-routes.ts'
import { connectionRoutes, serveConnections, type ConnectionRoutesDeps } from './connection-routes.ts'
import {
  rewrapRoutes,
  serveRewrap,
  serveService,
  serviceRoutes,
  type ServiceRoutesDeps,
  serveStore,
  storeRoutes,
} from './service-routes.ts'
import { rotationRoutes, serveRotation, type RotationRoutesDeps } from './rotation-routes.ts'
import type { RewrapKeys } from '../maintenance/rewrap-keys.ts'
import type { TransferStore } from '../maintenance/transfer-store.ts'
import type { ReadSummary } from '../maintenance/read-summary.ts'
import type { AdministerPolicy } from '../policy/administer-policy.ts'
import * as z from 'zod/mini'
import { policyDocument } from './admin-documents.ts'
import type {
  AppliedPolicyDocument,
  PolicyDocument,
  PolicyVersionDocument,
  PolicyVersionsDocument,
  ValidPolicyDocument,
} from './credential-schemas.ts'
import { shows, policyText, queryOf } from './route-schemas.ts'
import { formatTimestamp } from '../domain/time.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Viewers read and validate, admins replace the revision they have seen. */
const policyRoutes = {
  readPolicy: adminRoute({
    at: 'GET /v1/admin/policy',
    summary: 'The policy in force',
    needs: 'viewer',
    action: 'policy.read',
    answer: shows<PolicyDocument>(),
  }),
  applyPolicy: adminRoute({
    at: 'PUT /v1/admin/policy',
    summary:
      'Replaces the policy that `If-Match` names; one that would lock out whoever applies it needs `force=true`',
    needs: 'admin',
    action: 'policy.apply',
    query: queryOf(z.object({ force: z.exactOptional(z.literal('true')) })),
    body: policyText,
    answer: shows<AppliedPolicyDocument>(),
    ifMatch: true,
  }),
  validatePolicy: adminRoute({
    at: 'POST /v1/admin/policy:validate',
    summary: 'Judges a policy without applying it',
    needs: 'viewer',
    action: 'policy.validate',
    body: policyText,
    answer: shows<ValidPolicyDocument>(),
  }),
  listPolicyVersions: adminRoute({
    at: 'GET /v1/admin/policy/versions',
    summary: 'The versions of the policy in the store, newest first, 20 at most',
    needs: 'viewer',
    action: 'policy.read',
    answer: shows<PolicyVersionsDocument>(),
  }),
  readPolicyVersion: adminRoute({
    at: 'GET /v1/admin/policy/versions/{revision}',
    summary: 'One version of the policy, and which one it replaced',
    needs: 'viewer',
    action: 'policy.read',
    answer: shows<PolicyVersionDocument>(),
  }),
} as const

function servePolicy(policy: AdministerPolicy): readonly ServedRoute[] {
  const routes = policyRoutes
  return [
    served(routes.readPolicy, async () => {
      const reading = await policy.read()
      return { document: policyDocument(reading), revision: reading.revision }
    }),
    served(routes.applyPolicy, async ({ body, ifMatch, caller, query, note }) => {
      const isForced = query.force === 'true'
      note({
        ...omitUndefined({ formerPolicyRevision: ifMatch }),
        ...(isForced && { forced: true }),
      })
      const { revision, warnings } = await policy.apply({
        text: body,
        ifMatch,
        caller,
        force: isForced,
      })
      note({ policyRevision: revision })
      return { document: { revision, warnings: [...warnings] }, revision }
    }),
    served(routes.validatePolicy, async ({ body }) => {
      const warnings = await policy.validate(body)
      return { document: { valid: true, warnings: [...warnings] } satisfies ValidPolicyDocument }
    }),
    served(routes.listPolicyVersions, async () => ({
      document: {
        versions: (await policy.history()).map(({ revision, number, by, appliedAt }) => ({
          revision,
          number,
          by,
          applied_at: formatTimestamp(appliedAt),
        })),
      },
    })),
    served(routes.readPolicyVersion, async ({ param, note }) => {
      const { text, appliedAt, ...version } = await policy.version(param('revision'))
      note({ policyRevision: version.revision })
      return { document: { ...version, applied_at: formatTimestamp(appliedAt), document: text } }
    }),
  ]
}

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
    RotationRoutesDeps,
    ServiceRoutesDeps,
    AuditRoutesDeps {
  readonly act: Act
  /** Every path that a path below the issuer is reached at. */
  readonly at: (path: string) => string[]
  readonly policy: AdministerPolicy
  readonly rewrapKeys: RewrapKeys
  readonly transferStore: TransferStore
  readonly readSummary: ReadSummary
}

export function addAdminRoutes(app: Hono, deps: AdminRoutesDeps): void {
  const routes = [
    ...serveCredentials(deps),
    ...serveConnections(deps),
    ...servePolicy(deps.policy),
    ...serveAdvice(deps),
    ...serveRewrap(deps.rewrapKeys),
    ...serveStore(deps.transferStore),
    ...serveRotation(deps),
    ...serveService(deps),
    ...serveAudit(deps),
    ...serveSummary(deps.readSummary),
  ]
  for (const { at: line, serve } of routes) {
    const [method = '', template = ''] = line.split(' ')
    app.on(method, deps.at(routePattern(template)), (context) => serve(deps.act, context))
  }
}
