import type { HttpClient } from '../../src/ports/http-client.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'

/** What a process does at a crash: nothing any more. No code of ours knows this error. */
export class Crash extends Error {}

export interface CrashPoints {
  readonly store: (store: DocumentStore) => DocumentStore
  readonly http: (http: HttpClient) => HttpClient
  /** How many boundaries were passed. */
  readonly passed: () => number
}

/**
 * Counts every boundary at which a process can end as far as the world can tell: before and after each write to the
 * store and each call. At the one of number `at` it crashes, and whatever it tries from then on crashes too.
 */
export function createCrashPoints(at = Infinity): CrashPoints {
  let count = 0
  const boundary = (): void => {
    count += 1
    if (count >= at) throw new Crash(`at boundary ${count}`)
  }
  const around = async <T>(work: () => Promise<T>): Promise<T> => {
    boundary()
    const result = await work()
    boundary()
    return result
  }
  return {
    store: (store) => ({
      ...store,
      get: (key) => store.get(key),
      put: (key, value, options) => around(() => store.put(key, value, options)),
      delete: (key, options) => around(() => store.delete(key, options)),
      list: (options) => store.list(options),
    }),
    http: (http) => (request) => around(() => http(request)),
    passed: () => count,
  }
}
