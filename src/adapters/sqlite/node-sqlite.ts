import { DatabaseSync, type StatementSync } from 'node:sqlite'

import type { SqlDatabase } from './sql-document-store.ts'
import { isLocked, sqliteError } from './sqlite-error.ts'

export interface NodeSqlite extends SqlDatabase {
  close(): void
}

/** How long the start waits for another process: nobody is served yet, so the process may stand still. */
const startTimeoutMs = 2000
const startPauseMs = 20

/**
 * One connection of node:sqlite to an existing file; every failure is `store_unavailable`. No statement waits for a
 * lock of another process: it fails at once.
 */
export function openNodeSqlite(path: string): NodeSqlite {
  const connection = guard(path, () => new DatabaseSync(path, { timeout: 0 }))
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

/** Tries again while the file is locked, standing still: for the start only. */
export function untilUnlocked<T>(work: () => T): T {
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
