import { isBrokerError } from '../../domain/broker-error.ts'
import { epochSeconds, type EpochSeconds } from '../../domain/time.ts'
import type { DocumentStore, PutOptions, Stored } from '../../ports/document-store.ts'
import { parseDocument } from '../documents.ts'
import { createSqlDocumentStore, type SqlDatabase } from '../sqlite/sql-document-store.ts'
import type { DocumentsRpc, PlainPut, PlainStored, Reply } from './documents-rpc.ts'

/** The object's side of the calls: each is one statement over its own SQLite, at the asker's time. */
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

/** A bug is thrown on: the asker hears that the object failed, and the object's own log says where. */
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
