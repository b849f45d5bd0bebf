import { DatabaseSync, type StatementSync } from 'node:sqlite'

import type { SqlDatabase } from './sql-document-store.ts'
import { isBusy, sqliteError } from './sqlite-error.ts'

export interface NodeSqlite extends SqlDatabase {
  close(): void
}

/**
 * How long a statement waits for another process, within SQLite and therefore with this process standing still.
 * Writes take milliseconds, so whoever waits longer waits for something broken.
 */
const busyTimeoutMs = 2000
const busyPauseMs = 20

/** One connection of node:sqlite to an existing file; every failure is `store_unavailable`. */
export function openNodeSqlite(path: string): NodeSqlite {
  const connection = guard(path, () => new DatabaseSync(path, { timeout: busyTimeoutMs }))
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
    close: () => {
      if (connection.isOpen) guard(path, () => connection.close())
    },
  }
}

/** Tries again while the file is locked, for steps at which SQLite's own busy timeout does not wait. */
export function untilUnlocked<T>(work: () => T): T {
  for (let waitedMs = 0; ; waitedMs += busyPauseMs) {
    try {
      return work()
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if (!isBusy(cause) || waitedMs >= busyTimeoutMs) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, busyPauseMs)
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
