import { BrokerError, isBrokerError } from '../../domain/broker-error.ts'
import { seconds, type EpochSeconds, epochSeconds } from '../../domain/time.ts'
import { withDeadline } from '../../domain/promises.ts'
import type { Clock } from '../../ports/clock.ts'
import type {
  DocumentStore,
  Stored,
  DocumentKey,
  ListOptions,
  Version,
  PutOptions,
} from '../../ports/document-store.ts'
import { formatDocument, parseDocument, checkExpiry, checkKey, checkListOptions } from '../documents.ts'
import type { Result } from '../../domain/result.ts'
import { createSqlDocumentStore, type SqlDatabase } from '../sqlite/sql-document-store.ts'

interface DurableObjectStoreDeps {
  /** A way to the object, new for each call: one that another request used may be broken, and must not be shared. */
  readonly connect: () => DocumentsRpc
  readonly clock: Clock
  /** How long one call may take; then its outcome is unknown. */
  readonly deadlineMs?: number
}

const deadlineMsByDefault = 3_000

/**
 * Documents in a Durable Object. What the port calls a bug is refused here, before anything is sent; whatever else
 * goes wrong on the way or over there is `store_unavailable`.
 */
export function createDurableObjectStore(deps: DurableObjectStoreDeps): DocumentStore {
  const { connect, clock, deadlineMs = deadlineMsByDefault } = deps

  const ask = async <T>(call: (documents: DocumentsRpc) => Promise<Reply<T>>): Promise<T> => {
    const late = () => unavailable(`gave no answer within ${deadlineMs} ms`)
    const reply = await withDeadline(reach(connect, call), clock.sleep(deadlineMs), late)
    if (!reply.ok) throw unavailable(`failed: ${reply.fault}`)
    return reply.value
  }

  return {
    get: async (key) => {
      checkKey(key)
      const found = await ask((documents) => documents.get(clock.now(), key))
      return found === null ? undefined : storedOf(found)
    },
    put: async (key, value, options = {}) => {
      checkKey(key)
      checkExpiry(options)
      const { if: condition = null, expiresAt = null } = options
      const write = { key, json: formatDocument(value), condition, expiresAt }
      return (await ask((documents) => documents.put(clock.now(), write))) ?? undefined
    },
    delete: async (key, { version = null } = {}) => {
      checkKey(key)
      return ask((documents) => documents.delete(clock.now(), key, version))
    },
    list: async (options) => {
      checkListOptions(options)
      const found = await ask((documents) => documents.list(clock.now(), options))
      return found.map(storedOf)
    },
  }
}

async function reach<T>(
  connect: () => DocumentsRpc,
  call: (documents: DocumentsRpc) => Promise<Reply<T>>,
): Promise<Reply<T>> {
  try {
    return await call(connect())
  } catch (cause) {
    throw unavailable(isOverloaded(cause) ? 'is overloaded' : 'could not be reached, or broke off', cause)
  }
}

/** https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ */
function isOverloaded(error: unknown): boolean {
  return error instanceof Error && 'overloaded' in error && error.overloaded === true
}

function storedOf({ key, json, version, expiresAt }: PlainStored): Stored {
  return { key, value: parseDocument(json), version, ...(expiresAt !== null && { expiresAt }) }
}

function unavailable(what: string, cause?: unknown): BrokerError {
  return new BrokerError('store_unavailable', {
    reason: `the Durable Object of the store ${what}`,
    retryAfter: seconds(1),
    cause,
  })
}

/**
 * What the Worker may ask of the object that holds the documents: plain data in both directions. Documents travel as
 * JSON, which is what both sides keep; `now` is the time of the Worker, which decides what has expired.
 */
export interface DocumentsRpc {
  get(now: EpochSeconds, key: DocumentKey): Promise<Reply<PlainStored | null>>
  put(now: EpochSeconds, write: PlainPut): Promise<Reply<Version | null>>
  delete(now: EpochSeconds, key: DocumentKey, version: Version | null): Promise<Reply<boolean>>
  list(now: EpochSeconds, options: ListOptions): Promise<Reply<readonly PlainStored[]>>
}

/** An expected failure is a value here: of an error only the message survives the call. */
export type Reply<T> = Result<T>

export interface PlainStored {
  readonly key: DocumentKey
  readonly json: string
  readonly version: Version
  readonly expiresAt: EpochSeconds | null
}

export interface PlainPut {
  readonly key: DocumentKey
  readonly json: string
  /** `null`: unconditional. */
  readonly condition: 'absent' | { readonly version: Version } | null
  readonly expiresAt: EpochSeconds | null
}

/** The object's side of the calls: each is one statement over its own SQLite, at the Worker's time. */
export function createDocumentsAnswers(database: SqlDatabase): DocumentsRpc {
  let askedAt = epochSeconds(0)
  // The store reads the clock before its first wait, so no other call comes between the two lines of `at`.
  const clock = { now: () => askedAt, steadyMs: () => 0, sleep: () => Promise.resolve() }
  const store = createSqlDocumentStore({ database, clock })
  const at = <T>(now: EpochSeconds, work: (store: DocumentStore) => Promise<T>): Promise<Reply<T>> => {
    askedAt = now
    return replyOf(work(store))
  }

  return {
    get: (now, key) =>
      at(now, async ({ get }) => {
        const stored = await get(key)
        return stored === undefined ? null : plainOf(stored)
      }),
    put: (now, write) =>
      at(now, async ({ put }) => (await put(write.key, parseDocument(write.json), optionsOf(write))) ?? null),
    delete: (now, key, version) =>
      at(now, (documents) => documents.delete(key, version === null ? {} : { version })),
    list: (now, options) => at(now, async ({ list }) => (await list(options)).map(plainOf)),
  }
}

/** An unexpected error is rethrown: the Worker learns that the object failed, and the object's own log says where. */
async function replyOf<T>(work: Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await work }
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return { ok: false, fault: error.reason }
  }
}

function plainOf({ key, value, version, expiresAt }: Stored): PlainStored {
  return { key, json: JSON.stringify(value), version, expiresAt: expiresAt ?? null }
}

function optionsOf({ condition, expiresAt }: PlainPut): PutOptions {
  return {
    ...(condition !== null && { if: condition }),
    ...(expiresAt !== null && { expiresAt }),
  }
}
