import type { Clock } from '../../../ports/clock.ts'
import type { DocumentStore, DocumentKey, PutOptions, Version } from '../../../ports/document-store.ts'
import { formatDocument, checkExpiry, checkKey, checkListOptions } from '../../documents.ts'
import {
  createCallDeadlines,
  createInFlight,
  createLazySdkClient,
  type LazySdkClient,
  type SdkClient,
  type Written,
  sdkError,
  sdkStatus,
} from './sdk-client.ts'
import { createSdkReads, type SdkReads } from './sdk-reads.ts'
import { omitUndefined } from '../../../domain/omit-undefined.ts'
import type { DocumentReference, Precondition, WriteResult } from '@google-cloud/firestore'
import { BrokerError, isBrokerError } from '../../../domain/broker-error.ts'
import {
  isExpired,
  type DocumentFields,
  documentName,
  documentPath,
  type DocumentsRoot,
  formatUpdateTime,
  parseUpdateTime,
  type UpdateTime,
} from '../firestore-document.ts'
import { blamesDatabase, leavesOutcomeUnknown, type Status } from '../status.ts'
import { createGather } from '../../gather.ts'

interface FirestoreSdkStoreDeps {
  readonly projectId: string
  /** Default `(default)`. */
  readonly databaseId?: string
  /** `HOST:PORT`; then neither TLS nor credentials are used. */
  readonly emulatorHost?: string
  /** Every call settles within it; default 3,000. */
  readonly deadlineMs?: number
  readonly clock: Clock
}

interface FirestoreSdkStore {
  readonly store: DocumentStore
  readonly close: () => Promise<void>
}

const deadlineMsByDefault = 3000

/**
 * Documents in Firestore, by Google's own client over gRPC. No transactions, and no conditional write is sent again
 * once its outcome is unknown: it is looked up by its nonce, in the last third of the deadline.
 */
export function createFirestoreSdkStore(deps: FirestoreSdkStoreDeps): FirestoreSdkStore {
  const { databaseId = '(default)', clock, ...target } = deps
  const deadlineMs = deps.deadlineMs ?? deadlineMsByDefault
  const { within, transformCall } = createCallDeadlines()
  const client = createLazySdkClient({ ...target, databaseId, transformCall })
  const inFlight = createInFlight()
  const inTime = <T>(work: () => Promise<T>): Promise<T> => within(deadlineMs, () => inFlight.track(work))
  const reads = createSdkReads({ open: client.open, clock })
  const writes = createSdkWrites({
    open: client.open,
    clock,
    find: reads.find,
    root: `projects/${deps.projectId}/databases/${databaseId}/documents`,
    send: (work) => within((deadlineMs * 2) / 3, work),
  })

  const store: DocumentStore = {
    get: async (key) => {
      checkKey(key)
      return await inTime(() => reads.get(key))
    },
    put: async (key, value, options = {}) => {
      checkKey(key)
      checkExpiry(options)
      const { expiresAt } = options
      const json = formatDocument(value)
      const fields = { json, nonce: crypto.randomUUID(), ...omitUndefined({ expiresAt }) }
      return await inTime(() => writes.put(key, fields, options.if))
    },
    delete: async (key, { version } = {}) => {
      checkKey(key)
      return await inTime(() => writes.remove(key, version))
    },
    list: async (options) => {
      checkListOptions(options)
      return await inTime(() => reads.list(options))
    },
  }
  // Its deadline: what hangs outside gRPC would keep the process for ever.
  const settled = () => within(deadlineMs, inFlight.settled).catch(() => {})
  return { store, close: () => client.close(settled) }
}

interface SdkWritesDeps {
  readonly open: LazySdkClient['open']
  readonly find: SdkReads['find']
  /** Runs one write within its share of the deadline. */
  readonly send: <T>(work: () => Promise<T>) => Promise<T>
  readonly root: DocumentsRoot
  readonly clock: Clock
}

interface SdkWrites {
  put(key: DocumentKey, fields: DocumentFields, condition: PutOptions['if']): Promise<Version | undefined>
  remove(key: DocumentKey, version: Version | undefined): Promise<boolean>
}

/** One write: what to send, and which answers mean that its condition failed. */
interface Attempt {
  readonly key: DocumentKey
  readonly nonce: string
  readonly refusals: readonly Status[]
  readonly send: () => Promise<UpdateTime>
}

/** Other writers that a create may meet before it gives up. */
const attemptsMax = 5

/**
 * Creates that go in one request, and how long one waits for others while a batch is out. With more, all callers of
 * one turn wait for the same answer, and the broker with them.
 */
const togetherMost = 32
const togetherWaitMs = 4

interface Create {
  readonly key: DocumentKey
  readonly fields: DocumentFields
}

/** One `batchWrite`. Nothing of it is sent again. */
function createBatchWrite({
  open,
  send,
  root,
}: SdkWritesDeps): (creates: readonly Create[]) => readonly Promise<UpdateTime>[] {
  return (creates) => {
    const writes = creates.map(({ key, fields }) => ({
      update: { name: documentName(root, key), fields: typedFields(fields) },
      currentDocument: { exists: false },
    }))
    const written = send(async () => {
      const { batchWrite } = await open()
      return await batchWrite(writes)
    })
    return creates.map(async (_, index) => timeOfOne(await written, index))
  }
}

/** Throws what Firestore says of that write, as the SDK would. */
function timeOfOne({ status, writeResults }: Written, index: number): UpdateTime {
  const { code = 0, message } = status?.[index] ?? {}
  if (code !== 0) throw Object.assign(new Error(message ?? 'no message'), { code })
  const { seconds, nanos } = writeResults?.[index]?.updateTime ?? {}
  return { seconds: Number(seconds), nanos: nanos ?? 0 }
}

/** As the API takes them. */
function typedFields({ json, nonce, expiresAt }: DocumentFields) {
  return {
    json: { stringValue: json },
    nonce: { stringValue: nonce },
    ...(expiresAt !== undefined && { expiresAt: { timestampValue: { seconds: expiresAt } } }),
  }
}

function createSdkWrites(deps: SdkWritesDeps): SdkWrites {
  const { open, find, clock } = deps
  const together = createGather<Create, UpdateTime>({
    keyOf: ({ key }) => key,
    send: createBatchWrite(deps),
    most: togetherMost,
    waitMs: togetherWaitMs,
  })
  const write = (attempt: Attempt) => writeOnce(deps, attempt)

  const replace = async (key: DocumentKey, fields: DocumentFields, unless: UpdateTime) => {
    const { client, document } = await openDocument(open, key)
    return await write({
      key,
      nonce: fields.nonce,
      refusals: ['NOT_FOUND', 'FAILED_PRECONDITION'],
      // set() takes no precondition.
      send: () =>
        deps.send(() =>
          document.update(replacement(client, fields), unchangedSince(client, unless)).then(timeOf),
        ),
    })
  }

  const create = async (key: DocumentKey, fields: DocumentFields): Promise<Version | undefined> => {
    const { nonce } = fields
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const created = await write({
        key,
        nonce,
        refusals: ['ALREADY_EXISTS'],
        send: () => together({ key, fields }),
      })
      if (created !== undefined) return created
      const found = await find(key)
      if (found?.fields.nonce === nonce) return timeVersion(found.updateTime)
      if (found !== undefined && !isExpired(found.fields, clock.now())) return undefined
      // An expired leftover counts as absent; whoever replaces it first has created the document.
      const replaced = found && (await replace(key, fields, updateTimeOf(found.updateTime)))
      if (replaced !== undefined) return replaced
    }
    throw new BrokerError('store_unavailable', { reason: `Firestore: document ${key} kept coming and going` })
  }

  const overwrite = async (key: DocumentKey, fields: DocumentFields): Promise<Version | undefined> => {
    const { client, document } = await openDocument(open, key)
    const { nonce } = fields
    const set = () => document.set(nativeFields(client, fields))
    return await write({ key, nonce, refusals: [], send: () => deps.send(set).then(timeOf) })
  }

  return {
    put: async (key, fields, condition) => {
      if (condition === undefined) return await overwrite(key, fields)
      if (condition === 'absent') return await create(key, fields)
      const unless = parseUpdateTime(condition.version)
      return unless === undefined ? undefined : await replace(key, fields, unless)
    },
    remove: (key, version) => removeDocument(deps, key, version),
  }
}

/** Sends it once; when nobody knows what became of it, its nonce tells, or nothing does. */
async function writeOnce({ find }: SdkWritesDeps, attempt: Attempt): Promise<Version | undefined> {
  const { key, nonce, refusals } = attempt
  try {
    return formatUpdateTime(await attempt.send())
  } catch (error) {
    if (isRefusal(error, refusals)) return undefined
    if (!isUnknown(error)) throw sdkError(error)
    const found = await find(key).catch(() => undefined)
    if (found?.fields.nonce === nonce) return timeVersion(found.updateTime)
    throw sdkError(error)
  }
}

/** A lost answer stays unknown: a document that is gone does not say who deleted it. */
async function removeDocument(
  { open, send }: SdkWritesDeps,
  key: DocumentKey,
  version: Version | undefined,
): Promise<boolean> {
  const unless = version === undefined ? undefined : parseUpdateTime(version)
  if (version !== undefined && unless === undefined) return false
  try {
    const { client, document } = await openDocument(open, key)
    const precondition = unless === undefined ? { exists: true } : unchangedSince(client, unless)
    await send(() => document.delete(precondition))
    return true
  } catch (error) {
    if (isRefusal(error, ['NOT_FOUND', 'FAILED_PRECONDITION'])) return false
    throw sdkError(error)
  }
}

async function openDocument(
  open: LazySdkClient['open'],
  key: DocumentKey,
): Promise<{ readonly client: SdkClient; readonly document: DocumentReference }> {
  const { collection, id } = documentPath(key)
  try {
    const client = await open()
    return { client, document: client.firestore.collection(collection).doc(id) }
  } catch (error) {
    throw sdkError(error)
  }
}

function isRefusal(error: unknown, refusals: readonly Status[]): boolean {
  const status = sdkStatus(error)
  if (status === undefined || !refusals.includes(status)) return false
  return !(error instanceof Error && blamesDatabase(error.message))
}

/** Our own deadline says as little about the outcome as the server's does. */
function isUnknown(error: unknown): boolean {
  return isBrokerError(error) || leavesOutcomeUnknown(sdkStatus(error))
}

function nativeFields({ sdk }: SdkClient, { json, nonce, expiresAt }: DocumentFields) {
  return { json, nonce, ...(expiresAt !== undefined && { expiresAt: new sdk.Timestamp(expiresAt, 0) }) }
}

/** Names every field: what is not there now must not stay from before. */
function replacement(client: SdkClient, fields: DocumentFields) {
  return { expiresAt: client.sdk.FieldValue.delete(), ...nativeFields(client, fields) }
}

function unchangedSince({ sdk }: SdkClient, { seconds, nanos }: UpdateTime): Precondition {
  return { lastUpdateTime: new sdk.Timestamp(seconds, nanos) }
}

function timeOf({ writeTime }: WriteResult): UpdateTime {
  return updateTimeOf(writeTime)
}

function timeVersion(time: { readonly seconds: number; readonly nanoseconds: number }): Version {
  return formatUpdateTime(updateTimeOf(time))
}

function updateTimeOf({
  seconds,
  nanoseconds,
}: {
  readonly seconds: number
  readonly nanoseconds: number
}): UpdateTime {
  return { seconds, nanos: nanoseconds }
}
