import * as z from 'zod/mini'
import type { Connect, ConnectionStatus } from '../connect/connect.ts'
import { credentialName } from '../domain/credential.ts'
import { formatTimestamp } from '../domain/time.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type { ConnectionDocument, StartedConnectionDocument } from './document-schemas.ts'
import type { CredentialDocument } from './credential-schemas.ts'
import { creates, shows, jsonBody } from './route-schemas.ts'
import { showCredential } from './admin-documents.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

const word = z.string().check(z.minLength(1), z.maxLength(512))
const scopeList = z.array(word).check(z.minLength(1), z.maxLength(100))
const weekInSeconds = 7 * 86_400

const start = z.strictObject({
  name: z.string().check(z.regex(credentialName)),
  upstream: word,
  client: z.exactOptional(word),
  scopes: z.union([scopeList, word]),
  expected_account: z.exactOptional(word),
  expires_in: z.exactOptional(z.int().check(z.minimum(1), z.maximum(weekInSeconds))),
  replace_account: z.exactOptional(z.boolean()),
})

const finalization = z.strictObject({
  nonce: word,
  account: z.exactOptional(word),
  accept_fewer_scopes: z.exactOptional(scopeList),
  replace_account: z.exactOptional(z.boolean()),
})

/** Ask somebody to consent to a refresh token. Administrators only (T16); only the one who asked can finish it. */
export const connectionRoutes = {
  startConnection: adminRoute({
    at: 'POST /v1/admin/connections',
    summary:
      'Starts a request for consent: answers with a link for the person who consents, and a nonce for `:finalize`',
    needs: 'admin',
    action: 'connection.start',
    body: jsonBody(start),
    answer: creates<StartedConnectionDocument>(),
    aboutOf: ({ name }) => ({ credential: name }),
  }),
  readConnection: adminRoute({
    at: 'GET /v1/admin/connections/{id}',
    summary: 'The state of a request for consent',
    needs: 'admin',
    action: 'connection.read',
    answer: shows<ConnectionDocument>(),
  }),
  finalizeConnection: adminRoute({
    at: 'POST /v1/admin/connections/{id}:finalize',
    summary: 'Enrols the refresh token; only the administrator who asked can, with the nonce',
    needs: 'admin',
    action: 'connection.finalize',
    body: jsonBody(finalization),
    answer: shows<CredentialDocument>(),
  }),
} as const

export interface ConnectionRoutesDeps {
  readonly connect: Connect
  /** The public URL of a path. */
  readonly locate: (path: string) => string
}

export function serveConnections({ connect, locate }: ConnectionRoutesDeps): readonly ServedRoute[] {
  const routes = connectionRoutes
  return [
    served(routes.startConnection, async ({ body, caller }) => {
      const { expected_account: expectedAccount, expires_in: expiresIn, client } = body
      const { connection, url, nonce } = await connect.start(
        {
          name: body.name,
          upstream: body.upstream,
          scopes: typeof body.scopes === 'string' ? body.scopes.split(' ').filter(Boolean) : body.scopes,
          ...omitUndefined({ client, expectedAccount, expiresIn }),
          replaceAccount: body.replace_account === true,
        },
        caller,
      )
      const { id, expiresAt } = connection
      const document = { id, url, nonce, expires_at: formatTimestamp(expiresAt) }
      return { document, location: locate(`/v1/admin/connections/${id}`) }
    }),
    served(routes.readConnection, async ({ param, note }) => {
      const status = await connect.read(param('id'))
      note({ credential: status.connection.name })
      return { document: connectionDocument(status) }
    }),
    served(routes.finalizeConnection, async ({ param, body, caller, note }) => {
      const { account, accept_fewer_scopes: acceptFewerScopes } = body
      const credential = await connect.finalize(
        {
          id: param('id'),
          nonce: body.nonce,
          ...omitUndefined({ account, acceptFewerScopes }),
          replaceAccount: body.replace_account === true,
        },
        caller,
      )
      note({ credential: credential.name, credentialVersion: credential.version })
      return showCredential(credential)
    }),
  ]
}

function connectionDocument({ connection, state }: ConnectionStatus): ConnectionDocument {
  const { granted, account } = connection
  return {
    id: connection.id,
    name: connection.name,
    upstream: connection.upstream,
    client: connection.client,
    state,
    account: account?.name,
    scopes: granted === undefined ? undefined : [...granted],
    asked_scopes: [...connection.scopes],
    expected_account: connection.expectedAccount,
    reason: connection.reason,
    created_at: formatTimestamp(connection.createdAt),
    expires_at: formatTimestamp(connection.expiresAt),
  }
}
