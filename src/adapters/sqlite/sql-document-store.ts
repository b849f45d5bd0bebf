import { epochSeconds, type EpochSeconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type {
  DocumentKey,
  DocumentStore,
  ListOptions,
  PutOptions,
  Stored,
} from '../../ports/document-store.ts'
import { createGather } from '../gather.ts'
import {
  formatDocument,
  parseDocument,
  checkExpiry,
  checkKey,
  checkListOptions,
  endOfPrefix,
  documentVersion,
} from '../documents.ts'

/** SQLite as this store needs it: node:sqlite and Durable Objects both have it, synchronous and positional. */
export interface SqlDatabase {
  /** Runs one statement to its end and returns its rows; throws `store_unavailable`, and then nothing was done. */
  exec(sql: string, ...params: readonly SqlValue[]): readonly SqlRow[]
  /** The same for a statement that writes; returns how many rows it changed, which costs less than their return. */
  change(sql: string, ...params: readonly SqlValue[]): number
  /** Throws `store_unavailable` when what is written now would be lost. */
  checkWrite?(): void
}

export type SqlValue = string | number | null
export type SqlRow = Readonly<Record<string, unknown>>

export interface SqlDocumentStoreDeps {
  readonly database: SqlDatabase
  /** The same documents with cheaper durability, where there is such a thing; default: `database`. */
  readonly briefDatabase?: SqlDatabase
  readonly clock: Clock
  /** Whether creates of one turn share a transaction; not on Workers, where each object has its own turn. */
  readonly sharesTurns?: boolean
}

/** What must be there before the first call; harmless when it is. */
export const sqlSchema = [
  `CREATE TABLE IF NOT EXISTS documents (
     key TEXT PRIMARY KEY NOT NULL, json TEXT NOT NULL, version TEXT NOT NULL, expires_at INTEGER
   ) STRICT`,
  'CREATE INDEX IF NOT EXISTS documents_by_expiry ON documents (expires_at) WHERE expires_at IS NOT NULL',
] as const

/** The longest remaining life of a document that may be written with cheaper durability. */
const briefSecondsMax = 3600
/** P19: a wall clock that jumps ahead by an hour and comes back finds its replay records again. */
const sweepGraceSeconds = 3600
/** Four times as many as were written since the last sweep, so that it catches up. */
const sweepEvery = 64
const sweptAtMost = 256

/** The document store over any SQLite; each conditional put is one statement, so it is atomic across processes. */
export function createSqlDocumentStore(deps: SqlDocumentStoreDeps): DocumentStore {
  const { database, briefDatabase = database, clock } = deps
  const sweep = createSweep(briefDatabase)
  const together = createGather<Create, boolean>({
    keyOf: ({ row }) => row.key,
    send: createInOneTransaction,
    most: togetherMost,
    waitMs: 0,
  })

  return {
    get: async (key) => {
      checkKey(key)
      const [row] = database.exec(select, key, clock.now())
      return row === undefined ? undefined : storedOf(row)
    },
    put: async (key, value, options = {}) => {
      checkKey(key)
      checkExpiry(options)
      const now = clock.now()
      const isBrief = options.expiresAt !== undefined && options.expiresAt - now <= briefSecondsMax
      const version = documentVersion(crypto.randomUUID())
      const row = { key, json: formatDocument(value), version, expiresAt: options.expiresAt ?? null }
      const target = isBrief ? briefDatabase : database
      const isShared = deps.sharesTurns === true && options.if === 'absent'
      const isWritten = isShared
        ? await together({ database: target, row, now })
        : writeOne(target, row, { condition: options.if, now })
      sweep(now)
      return isWritten ? version : undefined
    },
    delete: async (key, { version } = {}) => {
      checkKey(key)
      database.checkWrite?.()
      const changed =
        version === undefined ? database.change(remove, key) : database.change(removeVersion, key, version)
      return changed > 0
    },
    list: async (options) => {
      checkListOptions(options)
      return listRows(database, options, clock.now()).map(storedOf)
    },
  }
}

// Unnumbered parameters: Node 22 binds no others by their place.
const columns = 'key, json, version, expires_at'
const select = `SELECT ${columns} FROM documents WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)`
const put = `INSERT INTO documents (${columns}) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
  SET json = excluded.json, version = excluded.version, expires_at = excluded.expires_at`
const putAbsent = `${put} WHERE documents.expires_at <= ?`
const putVersion = `UPDATE documents SET json = ?, version = ?, expires_at = ?
  WHERE key = ? AND version = ?`
const remove = 'DELETE FROM documents WHERE key = ?'
const removeVersion = 'DELETE FROM documents WHERE key = ? AND version = ?'
const inRange = `SELECT ${columns} FROM documents WHERE key >= ? AND key < ? AND key > ?`
const listLiving = `${inRange} AND (expires_at IS NULL OR expires_at > ?) ORDER BY key LIMIT ?`
const listExpiring = `${inRange} AND expires_at < ? ORDER BY key LIMIT ?`
const sweepExpired = `DELETE FROM documents WHERE rowid IN
  (SELECT rowid FROM documents WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`

interface Row {
  readonly key: DocumentKey
  readonly json: string
  readonly version: string
  readonly expiresAt: EpochSeconds | null
}

interface Condition {
  readonly condition: PutOptions['if']
  readonly now: EpochSeconds
}

interface Create {
  readonly database: SqlDatabase
  readonly row: Row
  readonly now: EpochSeconds
}

/** A transaction costs more than the write in it. */
const togetherMost = 256

/** Each create is judged by itself. Where the transaction fails, each is tried alone, so that none pays for another. */
function createInOneTransaction(creates: readonly Create[]): readonly Promise<boolean>[] {
  return [...Map.groupBy(creates, ({ database }) => database)].length === 1 && creates.length > 1
    ? inTransaction(creates)
    : creates.map(createOne)
}

function inTransaction(creates: readonly Create[]): readonly Promise<boolean>[] {
  const database = creates[0]?.database
  try {
    database?.checkWrite?.()
    database?.exec('BEGIN IMMEDIATE')
    const written = creates.map(({ row, now, ...one }) =>
      writeRow(one.database, row, { condition: 'absent', now }),
    )
    database?.exec('COMMIT')
    return written.map((isWritten) => Promise.resolve(isWritten))
  } catch {
    try {
      database?.exec('ROLLBACK')
    } catch {
      // There was none to take back.
    }
    return creates.map(createOne)
  }
}

async function createOne({ database, row, now }: Create): Promise<boolean> {
  return writeOne(database, row, { condition: 'absent', now })
}

function writeOne(database: SqlDatabase, row: Row, condition: Condition): boolean {
  database.checkWrite?.()
  return writeRow(database, row, condition)
}

function writeRow(database: SqlDatabase, row: Row, { condition, now }: Condition): boolean {
  const values = [row.key, row.json, row.version, row.expiresAt] as const
  if (condition === undefined) return database.change(put, ...values) > 0
  if (condition === 'absent') return database.change(putAbsent, ...values, now) > 0
  return database.change(putVersion, row.json, row.version, row.expiresAt, row.key, condition.version) > 0
}

function listRows(database: SqlDatabase, options: ListOptions, now: EpochSeconds): readonly SqlRow[] {
  const { prefix, after = '', expiresBefore, limit } = options
  const range = [prefix, endOfPrefix(prefix), after] as const
  return expiresBefore === undefined
    ? database.exec(listLiving, ...range, now, limit)
    : database.exec(listExpiring, ...range, expiresBefore, limit)
}

function storedOf({ key, json, version, expires_at: expiresAt }: SqlRow): Stored {
  const expiry = typeof expiresAt === 'number' ? { expiresAt: epochSeconds(expiresAt) } : {}
  return {
    key: String(key),
    value: parseDocument(json),
    version: documentVersion(String(version)),
    ...expiry,
  }
}

/** Deletes what expired long ago, a bounded number of documents with every 64th write, beginning with the first. */
function createSweep(database: SqlDatabase): (now: EpochSeconds) => void {
  let writes = 0
  return (now) => {
    const isDue = writes % sweepEvery === 0
    writes += 1
    if (!isDue) return
    try {
      database.exec(sweepExpired, now - sweepGraceSeconds, sweptAtMost)
    } catch {
      // The put is done and stays done; the next sweep tries again.
    }
  }
}
