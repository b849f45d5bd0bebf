import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import type { Connection, ConnectionState, FormerCredential } from '../domain/connection.ts'
import { later, seconds } from '../domain/time.ts'
import type { DocumentStore, Stored } from '../ports/document-store.ts'
import { readModifyWrite, type ReadModifyWriteDeps } from './read-modify-write.ts'
import {
  account,
  documentOf,
  filledText,
  instant,
  membersOf,
  readDocument,
  texts,
  writeDocument,
} from './stored-fields.ts'
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
  /** All that are kept and can be read, a page at a time; one that cannot is passed to `onMalformed`. */
  list(after?: string): Promise<{ readonly connections: readonly ConnectionRecord[]; readonly next?: string }>
}

const connectionsPrefix = 'connections/'
/** How long after its end a connection still shows its outcome. */
const keptAfterEnd = seconds(7 * 86_400)
const pageSize = 100

export interface ConnectionsDeps extends ReadModifyWriteDeps {
  readonly onMalformed: (error: BrokerError) => void
}

export function createConnections(deps: ConnectionsDeps): Connections {
  const store: DocumentStore = deps.store
  const readableIn = (stored: Stored): readonly ConnectionRecord[] => {
    try {
      return [readDocument(connectionRecord, stored)]
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      deps.onMalformed(error)
      return []
    }
  }
  return {
    add: async (connection) => {
      await store.put(keyOf(connection.id), writeDocument(connectionRecord, connection), {
        if: 'absent',
        expiresAt: later(connection.expiresAt, keptAfterEnd),
      })
    },
    find: async (id) => {
      const stored = isId(id) ? await store.get(keyOf(id)) : undefined
      return stored === undefined ? undefined : readDocument(connectionRecord, stored)
    },
    change: async (id, revise) => {
      if (!isId(id)) return undefined
      return readModifyWrite<ConnectionRecord | undefined>(deps, keyOf(id), (stored) => {
        if (stored === undefined) return { value: undefined, result: undefined }
        const before = readDocument(connectionRecord, stored)
        const after = revise(before)
        if (after === before) return { value: undefined, result: before }
        const expiresAt = later(after.expiresAt, keptAfterEnd)
        return { value: writeDocument(connectionRecord, after), expiresAt, result: after }
      })
    },
    list: async (after) => {
      const stored = await store.list({ prefix: connectionsPrefix, limit: pageSize, after })
      const next = stored.length < pageSize ? undefined : stored.at(-1)?.key
      return {
        connections: stored.flatMap(readableIn),
        ...omitUndefined({ next }),
      }
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

const connectionRecord = documentOf<ConnectionRecord>(
  {
    id: filledText,
    name: filledText,
    upstream: filledText,
    client: filledText,
    scopes: texts,
    expectedAccount: z.exactOptional(z.string()),
    replacesAccount: z.boolean(),
    startedBy: membersOf<Connection['startedBy']>({ issuer: z.string(), subject: z.string() }),
    createdAt: instant,
    expiresAt: instant,
    former: z.exactOptional(
      membersOf<FormerCredential>({
        createdAt: instant,
        scopes: z.exactOptional(texts),
        account: z.exactOptional(account),
      }),
    ),
    state: z.enum(['pending', 'consented', 'rejected', 'finished'] satisfies ConnectionState[]),
    account: z.exactOptional(account),
    granted: z.exactOptional(texts),
    reason: z.exactOptional(z.string()),
    linkDigest: filledText,
    nonceDigest: filledText,
    flow: z.exactOptional(
      membersOf<ConsentFlow>(
        { browserDigest: filledText, stateDigest: filledText, sealed: z.exactOptional(filledText) },
        { browserDigest: 'browser_sha256', stateDigest: 'state_sha256' },
      ),
    ),
    sealedGrant: z.exactOptional(filledText),
  },
  { linkDigest: 'link_sha256', nonceDigest: 'nonce_sha256' },
)
