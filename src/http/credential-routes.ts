import * as z from 'zod/mini'
import type { AdminFacts } from '../domain/audit-record.ts'
import { credentialName } from '../domain/credential.ts'
import type { BoundaryChange } from '../enrolment/credential-options.ts'
import type { RevokeCredential } from '../enrolment/revoke-credential.ts'
import type { AdministerCredentials } from '../enrolment/administer-credentials.ts'
import { credentialPageDocument, revokedCredentialDocument, showCredential } from './admin-documents.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type {
  CredentialDocument,
  CredentialPageDocument,
  RevokedCredentialDocument,
} from './credential-schemas.ts'
import { storedName, creates, shows, showsNothing, jsonBody, queryOf } from './route-schemas.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

const pageLimitDefault = 100
const pageLimitMax = 500

/** Longer than any key should live. */
const daysMax = 3650
const rotateAfterDays = z.number().check(z.int(), z.minimum(1), z.maximum(daysMax))

/** How boundaries are put on a credential's tokens. */
const boundaryMembers = {
  bounded_locally: z.exactOptional(z.boolean()),
  accept_unproved: z.exactOptional(z.boolean()),
} as const
const boundarySource = z.literal('cloud-platform')

const page = z.object({
  after: z.exactOptional(z.string().check(z.regex(storedName))),
  limit: z._default(
    z.coerce.number().check(z.int(), z.minimum(1), z.maximum(pageLimitMax)),
    pageLimitDefault,
  ),
})

/** Only the name is judged here, for the audit record; the rest is handed on unread. */
const enrolment = z.strictObject({
  name: z.string().check(z.regex(credentialName)),
  secret: z.looseObject({}),
  scopes: z.exactOptional(z.unknown()),
  upstream: z.exactOptional(z.unknown()),
  rotate_after_days: z.exactOptional(rotateAfterDays),
  boundary_source: z.exactOptional(boundarySource),
  ...boundaryMembers,
  /** Whether it is tried at its upstream first. */
  verify: z.exactOptional(z.boolean()),
})

/** `null` takes it away, and what is not there stays as it is. */
export const credentialChange = z
  .strictObject({
    rotate_after_days: z.exactOptional(z.nullable(rotateAfterDays)),
    boundary_source: z.exactOptional(z.nullable(boundarySource)),
    ...boundaryMembers,
    intermediary_refused: z.exactOptional(z.boolean()),
  })
  .check(z.refine((body) => Object.keys(body).length > 0, { error: 'changes nothing' }))

/** Viewers read, operators switch, admins enrol and destroy. */
export const credentialRoutes = {
  listCredentials: adminRoute({
    at: 'GET /v1/admin/credentials',
    summary: 'The credentials, in the order of their names',
    needs: 'viewer',
    action: 'credential.list',
    query: queryOf(page),
    answer: shows<CredentialPageDocument>(),
  }),
  enrolCredential: adminRoute({
    at: 'POST /v1/admin/credentials',
    summary: "Enrols a credential; `secret` is one of Google's own credential files as it is",
    needs: 'admin',
    action: 'credential.enrol',
    body: jsonBody(enrolment),
    answer: creates<CredentialDocument>(),
    aboutOf: ({ name, ...options }) => ({ credential: name, ...acceptance(options) }),
  }),
  readCredential: adminRoute({
    at: 'GET /v1/admin/credentials/{name}',
    summary: 'One credential, without its secret',
    needs: 'viewer',
    action: 'credential.read',
    answer: shows<CredentialDocument>(),
  }),
  deleteCredential: adminRoute({
    at: 'DELETE /v1/admin/credentials/{name}',
    summary: 'Destroys a credential and its secret',
    needs: 'admin',
    action: 'credential.destroy',
    answer: showsNothing,
    ifMatch: true,
  }),
  changeCredential: adminRoute({
    at: 'PATCH /v1/admin/credentials/{name}',
    summary: 'Changes when a credential is rotated, and how access boundaries are put on its tokens',
    needs: 'admin',
    action: 'credential.change',
    body: jsonBody(credentialChange),
    answer: shows<CredentialDocument>(),
    ifMatch: true,
    aboutOf: acceptance,
  }),
  disableCredential: adminRoute({
    at: 'POST /v1/admin/credentials/{name}:disable',
    summary:
      'Takes a credential out of service; no instance that can read the store serves its tokens 10 s later',
    needs: 'operator',
    action: 'credential.disable',
    answer: shows<CredentialDocument>(),
    ifMatch: true,
  }),
  enableCredential: adminRoute({
    at: 'POST /v1/admin/credentials/{name}:enable',
    summary: 'Puts a disabled credential back into service',
    needs: 'operator',
    action: 'credential.enable',
    answer: shows<CredentialDocument>(),
    ifMatch: true,
  }),
  revokeCredential: adminRoute({
    at: 'POST /v1/admin/credentials/{name}:revoke',
    summary: 'Revokes a credential for good: here first, then upstream; again, to finish what failed there',
    needs: 'operator',
    action: 'credential.revoke',
    answer: shows<RevokedCredentialDocument>(),
    ifMatch: true,
  }),
  destroyCredential: adminRoute({
    at: 'POST /v1/admin/credentials/{name}:destroy',
    summary: 'The same as DELETE',
    needs: 'admin',
    action: 'credential.destroy',
    answer: showsNothing,
    ifMatch: true,
  }),
} as const

function acceptance({ accept_unproved: isAccepted }: { readonly accept_unproved?: boolean }): AdminFacts {
  return isAccepted === true ? { acceptedUnproved: true } : {}
}

function boundaryChange(body: Partial<z.output<typeof credentialChange>>): BoundaryChange {
  const {
    boundary_source: boundarySource,
    bounded_locally: boundedLocally,
    accept_unproved: acceptUnproved,
    intermediary_refused: intermediaryRefused,
  } = body
  return {
    ...omitUndefined({ boundarySource, boundedLocally, acceptUnproved, intermediaryRefused }),
  }
}

export interface CredentialRoutesDeps {
  readonly credentials: AdministerCredentials
  readonly revokeCredential: RevokeCredential
  /** The public URL of a path. */
  readonly locate: (path: string) => string
}

export function serveCredentials({
  credentials,
  revokeCredential,
  locate,
}: CredentialRoutesDeps): readonly ServedRoute[] {
  const routes = credentialRoutes
  const destroy = async (name: string, revision: string | undefined) => {
    await credentials.destroy(name, revision)
    return { document: undefined }
  }
  return [
    served(routes.listCredentials, async ({ query }) => ({
      document: credentialPageDocument(await credentials.list(query), query.limit),
    })),
    served(routes.enrolCredential, async ({ body, note }) => {
      const { rotate_after_days: days, ...rest } = body
      const { boundary_source: _, bounded_locally: __, accept_unproved: ___, ...enrolment } = rest
      const change = boundaryChange(body)
      const credential = await credentials.enrol({
        ...enrolment,
        ...omitUndefined({ rotateAfterDays: days }),
        ...(Object.keys(change).length > 0 && { boundaries: change }),
      })
      note({ credentialVersion: credential.version })
      return { ...showCredential(credential), location: locate(`/v1/admin/credentials/${credential.name}`) }
    }),
    served(routes.readCredential, async ({ param }) => showCredential(await credentials.read(param('name')))),
    served(routes.changeCredential, async ({ param, body, ifMatch }) => {
      const { rotate_after_days: days } = body
      const change = { ...omitUndefined({ rotateAfterDays: days }), ...boundaryChange(body) }
      return showCredential(await credentials.change(param('name'), change, ifMatch))
    }),
    served(routes.disableCredential, async ({ param, ifMatch }) =>
      showCredential(await credentials.disable(param('name'), ifMatch)),
    ),
    served(routes.enableCredential, async ({ param, ifMatch }) =>
      showCredential(await credentials.enable(param('name'), ifMatch)),
    ),
    served(routes.revokeCredential, async ({ param, ifMatch }) => {
      const revoked = await revokeCredential(param('name'), ifMatch)
      return { document: revokedCredentialDocument(revoked), revision: String(revoked.credential.revision) }
    }),
    served(routes.deleteCredential, ({ param, ifMatch }) => destroy(param('name'), ifMatch)),
    served(routes.destroyCredential, ({ param, ifMatch }) => destroy(param('name'), ifMatch)),
  ]
}
