import type { Clock } from '../../../ports/clock.ts'
import type { DocumentStore, DocumentKey, PutOptions, Version } from '../../../ports/document-store.ts'
import type { Entropy } from '../../../ports/entropy.ts'
import type { HttpClient } from '../../../ports/http-client.ts'
import { formatDocument, checkExpiry, checkKey, checkListOptions } from '../../documents.ts'
import type { AccessToken } from '../../../google/api-request.ts'
import {
  createSendFirestore,
  type SendFirestore,
  mayHaveWritten,
  restError,
  restFault,
  type RestFault,
  type RestReply,
} from './send-firestore.ts'
import { parseVersion, restFields, createRestReads, type RestReads } from './rest-reads.ts'
import { omitUndefined } from '../../../domain/omit-undefined.ts'
import { BrokerError } from '../../../domain/broker-error.ts'
import { isMembers } from '../../../domain/json.ts'
import { documentName, type DocumentsRoot, isExpired, type DocumentFields } from '../firestore-document.ts'
import { createGather } from '../../gather.ts'
import { blamesDatabase, statusOfNumber, type Status } from '../status.ts'

type FirestoreRestStoreDeps = FirestoreServer & {
  readonly projectId: string
  /** Default `(default)`. */
  readonly databaseId?: string
  /** Every call settles within it; default 3,000. */
  readonly deadlineMs?: number
  readonly http: HttpClient
  readonly clock: Clock
  readonly entropy: Entropy
  /** Whether one request may await what another began; absent or false on Workers. */
  readonly sharesWork?: boolean
}

type FirestoreServer =
  /** `HOST:PORT`; then neither TLS nor credentials are used. */
  | { readonly emulatorHost: string }
  /** `baseUrl`: what comes before `/v1`, for a private endpoint. */
  | { readonly accessToken: AccessToken; readonly baseUrl?: string }

const googleUrl = 'https://firestore.googleapis.com'
const deadlineMsByDefault = 3000
const projectPattern = /^[a-zA-Z0-9][\w.:-]{0,62}$/
const databasePattern = /^(?:\(default\)|[a-zA-Z0-9][\w-]{0,62})$/

/**
 * Documents in Firestore by its REST API and `fetch`, in Node and in workerd, in the same form as the SDK's driver
 * keeps them: versions may go back and forth. No write is sent again once its outcome is unknown: it is looked up by
 * its nonce, in the last third of the deadline. Throws TypeError for what cannot name a project or database.
 */
export function createFirestoreRestStore(deps: FirestoreRestStoreDeps): DocumentStore {
  const { projectId, databaseId = '(default)', clock, entropy } = deps
  const deadlineMs = deps.deadlineMs ?? deadlineMsByDefault
  const root = documentsRoot(projectId, databaseId)
  const ask = createSendFirestore({ ...deps, ...serverOf(deps, root), attemptMs: (deadlineMs * 2) / 3 })
  const reads = createRestReads({ ask, root, clock })
  const writes = createRestWrites({
    ask,
    root,
    clock,
    find: reads.find,
    sharesWork: deps.sharesWork === true,
  })
  const endMs = (): number => clock.steadyMs() + deadlineMs

  return {
    get: async (key) => {
      checkKey(key)
      return await reads.get(key, endMs())
    },
    put: async (key, value, options = {}) => {
      checkKey(key)
      checkExpiry(options)
      const { expiresAt } = options
      const json = formatDocument(value)
      const fields = { json, nonce: entropy.uuid(), ...omitUndefined({ expiresAt }) }
      return await writes.put({ key, fields, endMs: endMs() }, options.if)
    },
    delete: async (key, { version } = {}) => {
      checkKey(key)
      return await writes.remove(key, version, endMs())
    },
    list: async (options) => {
      checkListOptions(options)
      return await reads.list(options, endMs())
    },
  }
}

function documentsRoot(projectId: string, databaseId: string): DocumentsRoot {
  // Both go into the address: a dot segment or a slash there would be another one.
  if (!projectPattern.test(projectId)) throw new TypeError('projectId names no Google Cloud project')
  if (!databasePattern.test(databaseId)) throw new TypeError('databaseId names no Firestore database')
  return `projects/${projectId}/databases/${databaseId}/documents`
}

function serverOf(
  server: FirestoreServer,
  root: DocumentsRoot,
): { readonly documentsUrl: string; readonly accessToken: AccessToken | undefined } {
  if ('emulatorHost' in server)
    return { documentsUrl: `http://${server.emulatorHost}/v1/${root}`, accessToken: undefined }
  const { baseUrl = googleUrl, accessToken } = server
  return { documentsUrl: `${baseUrl}/v1/${root}`, accessToken }
}

interface RestWritesDeps {
  readonly ask: SendFirestore
  readonly find: RestReads['find']
  readonly root: DocumentsRoot
  readonly clock: Clock
  /** Whether creates of several requests may travel together; not on Workers. */
  readonly sharesWork: boolean
}

/** What is written and until when, by the steady clock. */
interface Writing {
  readonly key: DocumentKey
  readonly fields: DocumentFields
  readonly endMs: number
}

interface RestWrites {
  put(writing: Writing, condition: PutOptions['if']): Promise<Version | undefined>
  remove(key: DocumentKey, version: Version | undefined, endMs: number): Promise<boolean>
}

type Precondition = { readonly exists: boolean } | { readonly updateTime: Version }

/** Other writers that a create may meet before it gives up. */
const attemptsMax = 5
/** The answer to a commit of one write. */
const answerBytesMax = 64 * 1024
const atVersion: readonly Status[] = ['NOT_FOUND', 'FAILED_PRECONDITION']

/** Creates that go in one request, and how long one waits for others while a batch is out. */
const togetherMost = 100
const togetherWaitMs = 4

/** Conditional writes by Firestore's own preconditions, one commit each; creates together where work is shared. */
function createRestWrites(deps: RestWritesDeps): RestWrites {
  const { ask, find, root, clock } = deps
  const batch = createBatchWrite(ask)
  const together = createGather<BatchedWrite, RestReply>({
    keyOf: ({ write }) => write.update.name,
    send: batch,
    most: togetherMost,
    waitMs: togetherWaitMs,
  })
  const commit = (write: object, endMs: number): Promise<RestReply> =>
    ask({ method: 'commit', body: { writes: [write] }, endMs, maxBytes: answerBytesMax })

  /** `undefined` when one of `refusals` says that the condition failed. */
  const write = async (
    { key, fields, endMs }: Writing,
    currentDocument: Precondition | undefined,
    refusals: readonly Status[],
  ): Promise<Version | undefined> => {
    const update = { name: documentName(root, key), fields: restFields(fields) }
    const written = { update, ...(currentDocument && { currentDocument }) }
    const isCreate = currentDocument !== undefined && 'exists' in currentDocument
    const reply =
      isCreate && deps.sharesWork ? await together({ write: written, endMs }) : await commit(written, endMs)
    const version = reply.ok ? versionIn(reply.body) : undefined
    if (version !== undefined) return version
    const fault = reply.ok ? restFault(undefined, 'it names no version of what was written') : reply
    if (isRefusal(fault, refusals)) return undefined
    if (!mayHaveWritten(fault)) throw restError(fault)
    // Never sent again: whether it was done, its nonce tells.
    const found = await find(key, endMs).catch(() => undefined)
    if (found?.fields.nonce === fields.nonce) return found.version
    throw restError(fault)
  }

  const replace = (writing: Writing, version: Version): Promise<Version | undefined> =>
    write(writing, { updateTime: version }, atVersion)

  const create = async (writing: Writing): Promise<Version | undefined> => {
    const { key, fields, endMs } = writing
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const created = await write(writing, { exists: false }, ['ALREADY_EXISTS'])
      if (created !== undefined) return created
      const found = await find(key, endMs)
      if (found?.fields.nonce === fields.nonce) return found.version
      if (found !== undefined && !isExpired(found.fields, clock.now())) return undefined
      // An expired leftover counts as absent; whoever replaces it first has created the document.
      const replaced = found && (await replace(writing, found.version))
      if (replaced !== undefined) return replaced
    }
    throw new BrokerError('store_unavailable', { reason: `Firestore: document ${key} kept coming and going` })
  }

  return {
    put: async (writing, condition) => {
      if (condition === undefined) return await write(writing, undefined, [])
      if (condition === 'absent') return await create(writing)
      const version = parseVersion(condition.version)
      return version === undefined ? undefined : await replace(writing, version)
    },
    remove: async (key, version, endMs) => {
      const updateTime = parseVersion(version)
      if (version !== undefined && updateTime === undefined) return false
      const currentDocument: Precondition = updateTime === undefined ? { exists: true } : { updateTime }
      const reply = await commit({ delete: documentName(root, key), currentDocument }, endMs)
      if (reply.ok) return true
      if (isRefusal(reply, atVersion)) return false
      throw restError(reply)
    },
  }
}

function isRefusal({ status, message }: RestFault, refusals: readonly Status[]): boolean {
  return status !== undefined && refusals.includes(status) && !blamesDatabase(message)
}

/** `{"writeResults":[{"updateTime":…}]}` */
function versionIn(body: unknown): Version | undefined {
  const results = isMembers(body) ? body['writeResults'] : undefined
  const result: unknown = Array.isArray(results) ? results[0] : undefined
  return isMembers(result) ? parseVersion(result['updateTime']) : undefined
}

interface BatchedWrite {
  readonly write: { readonly update: { readonly name: string } }
  readonly endMs: number
}

/** One request for many writes, each of which Firestore judges by itself: one answer for each. */
function createBatchWrite(
  ask: SendFirestore,
): (items: readonly BatchedWrite[]) => readonly Promise<RestReply>[] {
  return (items) => {
    const endMs = Math.min(...items.map((item) => item.endMs))
    const writes = items.map(({ write }) => write)
    const reply = ask({ method: 'batchWrite', body: { writes }, endMs, maxBytes: answerBytesMax })
    return items.map(async (_, index) => replyOfOne(await reply, index))
  }
}

/** `{"writeResults":[{"updateTime":…},{}],"status":[{},{"code":6,"message":…}]}`, as a commit of that write would say it. */
function replyOfOne(reply: RestReply, index: number): RestReply {
  if (!reply.ok) return reply
  const { writeResults, status } = isMembers(reply.body) ? reply.body : {}
  const fault: unknown = Array.isArray(status) ? status[index] : undefined
  const { code = 0, message } = isMembers(fault) ? fault : {}
  if (code !== 0) return restFault(statusOfNumber(code), typeof message === 'string' ? message : 'no message')
  const result: unknown = Array.isArray(writeResults) ? writeResults[index] : undefined
  return { ok: true, body: { writeResults: [result] } }
}
