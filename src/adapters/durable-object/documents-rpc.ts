import type { Result } from '../../domain/result.ts'
import { type EpochSeconds, epochSeconds } from '../../domain/time.ts'
import type {
  DocumentKey,
  ListOptions,
  Version,
  DocumentStore,
  PutOptions,
  Stored,
} from '../../ports/document-store.ts'
import { isBrokerError } from '../../domain/broker-error.ts'
import { parseDocument } from '../documents.ts'
import { createSqlDocumentStore, type SqlDatabase } from '../sqlite/sql-document-store.ts'

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
    ...(condition === null ? {} : { if: condition }),
    ...(expiresAt === null ? {} : { expiresAt }),
  }
}
