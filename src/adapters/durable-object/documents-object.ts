import { DurableObject } from 'cloudflare:workers'
import { BrokerError } from '../../domain/broker-error.ts'
import type { EpochSeconds } from '../../domain/time.ts'
import type { DocumentKey, ListOptions, Version } from '../../ports/document-store.ts'
import { sqlSchema, type SqlDatabase } from '../sqlite/sql-document-store.ts'
import {
  createDocumentsAnswers,
  type DocumentsRpc,
  type PlainPut,
  type PlainStored,
  type Reply,
} from './durable-object-store.ts'

/**
 * One place in the world that holds the documents, in SQLite; what it has answered is durable. A class because the
 * platform makes its objects from one; all it does lies in `createDocumentsAnswers`.
 */
export class DocumentsObject extends DurableObject implements DocumentsRpc {
  readonly #answers: DocumentsRpc

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env)
    const database = openDatabase(ctx.storage.sql)
    for (const sql of sqlSchema) database.exec(sql)
    this.#answers = createDocumentsAnswers(database)
  }

  get(now: EpochSeconds, key: DocumentKey): Promise<Reply<PlainStored | null>> {
    return this.#answers.get(now, key)
  }

  put(now: EpochSeconds, write: PlainPut): Promise<Reply<Version | null>> {
    return this.#answers.put(now, write)
  }

  delete(now: EpochSeconds, key: DocumentKey, version: Version | null): Promise<Reply<boolean>> {
    return this.#answers.delete(now, key, version)
  }

  list(now: EpochSeconds, options: ListOptions): Promise<Reply<readonly PlainStored[]>> {
    return this.#answers.list(now, options)
  }
}

function openDatabase(sql: SqlStorage): SqlDatabase {
  const exec: SqlDatabase['exec'] = (query, ...params) => {
    try {
      return sql.exec(query, ...params).toArray()
    } catch (cause) {
      throw new BrokerError('store_unavailable', {
        reason: `the object's SQLite ${complaintOf(cause)}`,
        cause,
      })
    }
  }
  return {
    exec,
    change: (query, ...params) => {
      exec(query, ...params)
      return Number(exec('SELECT changes() AS changed')[0]?.['changed'])
    },
  }
}

/** The result code alone: messages quote the statement. */
function complaintOf(error: unknown): string {
  const code = error instanceof Error ? /SQLITE_[A-Z_]{1,40}/.exec(error.message)?.[0] : undefined
  return code === undefined ? 'failed' : `answered ${code}`
}
