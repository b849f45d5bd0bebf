import * as z from 'zod/mini'
import type { AdministerPolicy } from '../policy/administer-policy.ts'
import { policyDocument } from './admin-documents.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type {
  AppliedPolicyDocument,
  PolicyDocument,
  PolicyVersionDocument,
  PolicyVersionsDocument,
  ValidPolicyDocument,
} from './credential-schemas.ts'
import { shows, noBody, policyText, noQuery, queryOf } from './route-schemas.ts'
import { formatTimestamp } from '../domain/time.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Viewers read and validate, admins replace the revision they have seen. */
export const policyRoutes = {
  readPolicy: adminRoute({
    at: 'GET /v1/admin/policy',
    summary: 'The policy in force',
    needs: 'viewer',
    action: 'policy.read',
    query: noQuery,
    body: noBody,
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
    query: noQuery,
    body: policyText,
    answer: shows<ValidPolicyDocument>(),
  }),
  listPolicyVersions: adminRoute({
    at: 'GET /v1/admin/policy/versions',
    summary: 'The versions of the policy in the store, newest first, 20 at most',
    needs: 'viewer',
    action: 'policy.read',
    query: noQuery,
    body: noBody,
    answer: shows<PolicyVersionsDocument>(),
  }),
  readPolicyVersion: adminRoute({
    at: 'GET /v1/admin/policy/versions/{revision}',
    summary: 'One version of the policy, and which one it replaced',
    needs: 'viewer',
    action: 'policy.read',
    query: noQuery,
    body: noBody,
    answer: shows<PolicyVersionDocument>(),
  }),
} as const

export function servePolicy({ policy }: { readonly policy: AdministerPolicy }): readonly ServedRoute[] {
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
        ...(isForced ? { forced: true } : {}),
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
