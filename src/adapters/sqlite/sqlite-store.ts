import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { BrokerError } from '../../domain/broker-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { DocumentStore } from '../../ports/document-store.ts'
import { createSqlDocumentStore, sqlSchema, type SqlDatabase } from './sql-document-store.ts'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'

export interface SqliteStoreDeps {
  readonly path: string
  readonly clock: Clock
}

export interface SqliteStore {
  readonly store: DocumentStore
  readonly close: () => void
}

/** `DSCP`: marks the file as ours, so that the wrong path never adds a table to somebody else's database. */
const applicationId = 0x44_53_43_50
const layout = 1
/** 16 MB: SQLite's own 1,000 make a busy broker stand still for the disk several times a second. */
const walPagesMax = 4000

/**
 * Documents in one file that any number of processes on this machine may share; the file and a folder made for it
 * are readable by their owner alone. Opening throws `store_unavailable` with the reason.
 *
 * Durability: a document that stays, or lives for more than an hour, is on the disk before `put` answers (P16:
 * synchronous=FULL). One that dies within the hour (replays, most tokens) survives the death of the process, but a power failure
 * may take the last moments of them: an fsync per request would be the broker's slowest part.
 */
export function createSqliteStore({ path, clock }: SqliteStoreDeps): SqliteStore {
  // Absolute: SQLite reads `:memory:` and `file:…` as something other than a path.
  const file = resolve(path)
  makeFile(file)
  const database = openNodeSqlite(file)
  try {
    untilUnlocked(() => makeTables(file, database))
    chmodSync(file, 0o600)
    untilUnlocked(() => database.exec('PRAGMA journal_mode = WAL'))
    untilUnlocked(() => database.exec('PRAGMA synchronous = FULL'))
    const briefDatabase = openNodeSqlite(file)
    untilUnlocked(() => briefDatabase.exec('PRAGMA synchronous = NORMAL'))
    // Replay records lie at random places: a page is written again many times before it is copied into the file.
    for (const one of [database, briefDatabase]) one.exec(`PRAGMA wal_autocheckpoint = ${walPagesMax}`)
    const close = (): void => {
      briefDatabase.close()
      database.close()
    }
    const documents = createSqlDocumentStore({ database, briefDatabase, clock, sharesTurns: true })
    return { store: waitingForLocks(documents), close }
  } catch (error) {
    database.close()
    throw sqliteError(file, error)
  }
}

function identityOf(file: string): string | undefined {
  try {
    const found = statSync(file, { throwIfNoEntry: false })
    return found === undefined ? undefined : `${found.dev}:${found.ino}`
  } catch (error) {
    throw sqliteError(file, error)
  }
}

function makeFile(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    closeSync(openSync(file, 'a', 0o600))
  } catch (error) {
    throw sqliteError(file, error)
  }
}

function makeTables(file: string, database: NodeSqlite): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    const [found] = database.exec(
      `SELECT (SELECT application_id FROM pragma_application_id) AS application,
         (SELECT user_version FROM pragma_user_version) AS layout, (SELECT count(*) FROM sqlite_schema) AS objects`,
    )
    refuseForeign(file, found)
    for (const sql of sqlSchema) database.exec(sql)
    database.exec(`PRAGMA application_id = ${applicationId}`)
    database.exec(`PRAGMA user_version = ${layout}`)
    database.exec('COMMIT')
  } catch (error) {
    rollBack(database)
    throw error
  }
}

/** SQLite itself takes back a transaction that it could not go on with: what is told is why. */
function rollBack(database: NodeSqlite): void {
  try {
    database.exec('ROLLBACK')
  } catch {
    // There was none any more.
  }
}

function refuseForeign(file: string, found: Readonly<Record<string, unknown>> | undefined): void {
  if (found?.['objects'] === 0) return
  if (found?.['application'] !== applicationId)
    throw new BrokerError('store_unavailable', {
      reason: `SQLite store ${file}: the database belongs to another application`,
    })
  if (found['layout'] !== layout)
    throw new BrokerError('store_unavailable', {
      reason: `SQLite store ${file}: layout ${String(found['layout'])} is not known here, only ${layout}`,
    })
}

export interface NodeSqlite extends SqlDatabase {
  close(): void
}

/** How long the start waits for another process: nobody is served yet, so the process may stand still. */
const startTimeoutMs = 4000
const startPauseMs = 20

/**
 * One connection of node:sqlite to an existing file; every failure is `store_unavailable`. No statement waits for a
 * lock of another process: it fails at once.
 */
function openNodeSqlite(path: string): NodeSqlite {
  const connection = guard(path, () => new DatabaseSync(path, { timeout: 0 }))
  const opened = identityOf(path)
  const statements = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known !== undefined) return known
    const statement = connection.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  return {
    // all(), not get(): a statement left unfinished after its first row would not report a failing commit.
    exec: (sql, ...params) => guard(path, () => prepare(sql).all(...params)),
    change: (sql, ...params) => guard(path, () => Number(prepare(sql).run(...params).changes)),
    // A file that was deleted or replaced takes writes as before, and all of them are lost with this process.
    checkWrite: () => {
      if (identityOf(path) === opened) return
      throw new BrokerError('store_unavailable', {
        reason: `SQLite store ${path}: the file was deleted or replaced while it was open: restart the broker`,
      })
    },
    close: () => {
      if (connection.isOpen) guard(path, () => connection.close())
    },
  }
}

/** Tries again while the file is locked, standing still: for the start only. */
function untilUnlocked<T>(work: () => T): T {
  for (let waitedMs = 0; ; waitedMs += startPauseMs) {
    try {
      return work()
    } catch (error) {
      if (!isLocked(error) || waitedMs >= startTimeoutMs) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, startPauseMs)
    }
  }
}

function guard<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw sqliteError(path, error)
  }
}

/**
 * SQLite has no queue: whoever finds the lock free first has it. Four processes on cores and a disk so busy that each
 * write held it for 0.2 to 0.5 s made one of a few thousand calls wait for more than 2 s; beyond 4 s something is broken.
 */
const waitMsMax = 4_000
/** How long after a wait in vain each call is tried once and no longer waits. */
const downMs = 2_000
const pauseMsMin = 2
const pauseMsMax = 50

/**
 * A store whose calls wait for locks of other processes while this one goes on serving: within SQLite the wait would
 * be a stand-still, and one request's after another's. After 4 s in vain the store counts as down for 2 s.
 */
function waitingForLocks(store: DocumentStore): DocumentStore {
  let downUntilMs = 0

  const waiting = async <T>(call: () => Promise<T>): Promise<T> => {
    const endMs = performance.now() + waitMsMax
    for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMsMax, pauseMs * 2)) {
      try {
        return await call()
      } catch (error) {
        if (!isLocked(error)) throw error
        const nowMs = performance.now()
        if (nowMs < downUntilMs) throw error
        if (nowMs + pauseMs > endMs) {
          downUntilMs = nowMs + downMs
          throw error
        }
      }
      await pause(pauseMs)
    }
  }

  return {
    get: (...get) => waiting(() => store.get(...get)),
    put: (...put) => waiting(() => store.put(...put)),
    delete: (...deletion) => waiting(() => store.delete(...deletion)),
    // SQLite answers at once: whoever reads ten thousand documents page by page would let nobody in between.
    list: async (...list) => {
      const listed = await waiting(() => store.list(...list))
      await nextTurn()
      return listed
    },
  }
}

/** Primary result codes, https://www.sqlite.org/rescode.html: the low octet of every extended one. */
const reasons: Readonly<Record<number, string>> = {
  5: 'another process kept the database locked',
  6: 'another process kept the database locked',
  8: 'the file or its folder is read-only',
  10: 'the disk answered with an input/output error',
  11: 'the file is corrupt',
  13: 'the disk is full',
  14: 'the file cannot be opened',
  26: 'the file is not an SQLite database',
}

/** Whatever the driver or the file system threw, as `store_unavailable` with the reason an operator can act on. */
export function sqliteError(path: string, cause: unknown): BrokerError {
  if (cause instanceof BrokerError) return cause
  return new BrokerError('store_unavailable', { reason: `SQLite store ${path}: ${reasonOf(cause)}`, cause })
}

/** Whether it failed because another process holds a lock: nothing was done, and it may be tried again. */
function isLocked(error: unknown): boolean {
  return error instanceof BrokerError && resultCode(error.cause) === 5
}

function reasonOf(error: unknown): string {
  const code = resultCode(error)
  if (code !== undefined) return reasons[code] ?? `SQLite answered with result code ${code}`
  if (!(error instanceof Error) || !('code' in error)) return 'the driver failed'
  if (error.code === 'ERR_INVALID_STATE') return 'it is closed'
  return `the file cannot be opened (${String(error.code)})`
}

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  return error.errcode & 0xff
}
