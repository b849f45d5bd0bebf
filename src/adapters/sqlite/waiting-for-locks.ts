import { setTimeout as pause } from 'node:timers/promises'
import type { DocumentStore } from '../../ports/document-store.ts'
import { isLocked } from './sqlite-error.ts'

/** Writes take milliseconds, so whoever waits longer waits for something broken. */
const waitMsMax = 2_000
/** How long after a wait in vain each call is tried once and no longer waits. */
const downMs = 2_000
const pauseMsMin = 2
const pauseMsMax = 50

/**
 * A store whose calls wait for locks of other processes while this one goes on serving: within SQLite the wait would
 * be a stand-still, and one request's after another's. After 2 s in vain the store counts as down for 2 s.
 */
export function waitingForLocks(store: DocumentStore): DocumentStore {
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
    list: (...list) => waiting(() => store.list(...list)),
  }
}
