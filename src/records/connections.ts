import * as z from 'zod/mini'
import type { Connection, ConnectionState } from '../domain/connection.ts'
import { later, seconds } from '../domain/time.ts'
import type { Document, DocumentStore, Stored } from '../ports/document-store.ts'
import { readModifyWrite, type ReadModifyWriteDeps } from './read-modify-write.ts'
import { filledText, instant, malformed } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** A connection with what guards it: digests of what others hold, sealed what the broker needs again (T19). */
export interface ConnectionRecord extends Connection {
  /** SHA-256 of the secret part of the link. */
  readonly linkDigest: string
  /** SHA-256 of what whoever started it finishes it with. */
  readonly nonceDigest: string
  /** Since somebody went on: the link is used up. */
  readonly flow?: ConsentFlow
  /** The refresh token that came, sealed. */
  readonly sealedGrant?: string
}

export interface ConsentFlow {
  /** SHA-256 of the cookie of the browser that went on, and of the `state`. */
  readonly browserDigest: string
  readonly stateDigest: string
  /** The PKCE verifier and the nonce of the ID token, sealed; gone once an answer came. */
  readonly sealed?: string
}

/** Requests for consent. Every method may throw `store_unavailable`. */
export interface Connections {
  add(connection: ConnectionRecord): Promise<void>
  find(id: string): Promise<ConnectionRecord | undefined>
  /** Applies `revise` unless it gives the record back as it is; `undefined` when there is none. */
  change(
    id: string,
    revise: (connection: ConnectionRecord) => ConnectionRecord,
  ): Promise<ConnectionRecord | undefined>
  /** All that are kept, a page at a time. */
  list(after?: string): Promise<{ readonly connections: readonly ConnectionRecord[]; readonly next?: string }>
}

const connectionsPrefix = 'connections/'
/** So long after its end it is still told what became of it. */
const keptAfterEnd = seconds(7 * 86_400)
const pageSize = 100

export function createConnections(deps: ReadModifyWriteDeps): Connections {
  const store: DocumentStore = deps.store
  return {
    add: async (connection) => {
      await store.put(keyOf(connection.id), documentOf(connection), {
        if: 'absent',
        expiresAt: later(connection.expiresAt, keptAfterEnd),
      })
    },
    find: async (id) => {
      const stored = isId(id) ? await store.get(keyOf(id)) : undefined
      return stored === undefined ? undefined : parseConnection(stored)
    },
    change: async (id, revise) => {
      if (!isId(id)) return undefined
      return readModifyWrite<ConnectionRecord | undefined>(deps, keyOf(id), (stored) => {
        if (stored === undefined) return { value: undefined, result: undefined }
        const before = parseConnection(stored)
        const after = revise(before)
        if (after === before) return { value: undefined, result: before }
        const expiresAt = later(after.expiresAt, keptAfterEnd)
        return { value: documentOf(after), expiresAt, result: after }
      })
    },
    list: async (after) => {
      const page = after === undefined ? {} : { after }
      const stored = await store.list({ prefix: connectionsPrefix, limit: pageSize, ...page })
      const next = stored.length < pageSize ? undefined : stored.at(-1)?.key
      return { connections: stored.map(parseConnection), ...omitUndefined({ next }) }
    },
  }
}

/** Where the parts of a connection are sealed to. */
export function connectionPlace(id: string, part: 'flow' | 'grant'): string {
  return `${keyOf(id)}#${part}`
}

function keyOf(id: string): string {
  return `${connectionsPrefix}${id}`
}

function isId(id: string): boolean {
  return /^[0-9a-f-]{36}$/.test(id)
}

function documentOf(connection: ConnectionRecord): Document {
  const { account, former, flow, startedBy } = connection
  return {
    schema: 1,
    id: connection.id,
    name: connection.name,
    upstream: connection.upstream,
    client: connection.client,
    scopes: connection.scopes,
    ...omitUndefined({ expected_account: connection.expectedAccount }),
    replaces_account: connection.replacesAccount,
    started_by: { issuer: startedBy.issuer, subject: startedBy.subject },
    created_at: connection.createdAt,
    expires_at: connection.expiresAt,
    ...(former === undefined
      ? {}
      : {
          former: {
            created_at: former.createdAt,
            ...omitUndefined({ scopes: former.scopes }),
            ...(former.account === undefined ? {} : { account: { ...former.account } }),
          },
        }),
    state: connection.state,
    ...(account === undefined ? {} : { account: { ...account } }),
    ...omitUndefined({ granted: connection.granted, reason: connection.reason }),
    link_sha256: connection.linkDigest,
    nonce_sha256: connection.nonceDigest,
    ...(flow === undefined
      ? {}
      : {
          flow: {
            browser_sha256: flow.browserDigest,
            state_sha256: flow.stateDigest,
            ...omitUndefined({ sealed: flow.sealed }),
          },
        }),
    ...omitUndefined({ sealed_grant: connection.sealedGrant }),
  }
}

/** Throws `store_unavailable` naming what is wrong with the document. */
function parseConnection({ key, value }: Stored): ConnectionRecord {
  const parsed = connectionDocument.safeParse(value)
  if (!parsed.success) throw malformed(key, parsed.error)
  return parsed.data
}

const account = z.object({ issuer: z.string(), subject: z.string(), name: z.string() })
const scopes = z.array(z.string())

const connectionDocument = z.pipe(
  z.object({
    schema: z.literal(1),
    id: filledText,
    name: filledText,
    upstream: filledText,
    client: filledText,
    scopes,
    expected_account: z.exactOptional(z.string()),
    replaces_account: z.boolean(),
    started_by: z.object({ issuer: z.string(), subject: z.string() }),
    created_at: instant,
    expires_at: instant,
    former: z.exactOptional(
      z.object({ created_at: instant, scopes: z.exactOptional(scopes), account: z.exactOptional(account) }),
    ),
    state: z.enum(['pending', 'consented', 'rejected', 'finished'] satisfies ConnectionState[]),
    account: z.exactOptional(account),
    granted: z.exactOptional(scopes),
    reason: z.exactOptional(z.string()),
    link_sha256: filledText,
    nonce_sha256: filledText,
    flow: z.exactOptional(
      z.object({
        browser_sha256: filledText,
        state_sha256: filledText,
        sealed: z.exactOptional(filledText),
      }),
    ),
    sealed_grant: z.exactOptional(filledText),
  }),
  z.transform(
    ({
      schema: _schema,
      expected_account: expectedAccount,
      replaces_account: replacesAccount,
      started_by: startedBy,
      created_at: createdAt,
      expires_at: expiresAt,
      former,
      link_sha256: linkDigest,
      nonce_sha256: nonceDigest,
      flow,
      sealed_grant: sealedGrant,
      ...same
    }): ConnectionRecord => ({
      ...same,
      ...omitUndefined({ expectedAccount }),
      replacesAccount,
      startedBy,
      createdAt,
      expiresAt,
      ...(former === undefined ? {} : { former: formerOf(former) }),
      linkDigest,
      nonceDigest,
      ...(flow === undefined ? {} : { flow: flowOf(flow) }),
      ...omitUndefined({ sealedGrant }),
    }),
  ),
)

function formerOf({
  created_at: createdAt,
  ...same
}: {
  readonly created_at: Connection['createdAt']
} & Omit<NonNullable<Connection['former']>, 'createdAt'>): NonNullable<Connection['former']> {
  return { createdAt, ...same }
}

function flowOf(flow: {
  readonly browser_sha256: string
  readonly state_sha256: string
  readonly sealed?: string
}): ConsentFlow {
  const { browser_sha256: browserDigest, state_sha256: stateDigest, ...same } = flow
  return { browserDigest, stateDigest, ...same }
}
