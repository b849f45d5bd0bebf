import type { Clock } from '../../../ports/clock.ts'
import type { DocumentStore } from '../../../ports/document-store.ts'
import { formatDocument, checkExpiry, checkKey, checkListOptions } from '../../documents.ts'
import { createCallDeadlines, createInFlight, createLazySdkClient } from './sdk-client.ts'
import { createSdkReads } from './sdk-reads.ts'
import { createSdkWrites } from './sdk-writes.ts'
import { omitUndefined } from '../../../domain/omit-undefined.ts'

export interface FirestoreSdkStoreDeps {
  readonly projectId: string
  /** Default `(default)`. */
  readonly databaseId?: string
  /** `HOST:PORT`; then neither TLS nor credentials are used. */
  readonly emulatorHost?: string
  /** Every call settles within it; default 3,000. */
  readonly deadlineMs?: number
  readonly clock: Clock
}

export interface FirestoreSdkStore {
  readonly store: DocumentStore
  readonly close: () => Promise<void>
}

const deadlineMsByDefault = 3000

/**
 * Documents in Firestore, by Google's own client over gRPC. No transactions, and no conditional write is sent again
 * once its outcome is unknown: it is looked up by its nonce, in the last third of the deadline.
 */
export function createFirestoreSdkStore(deps: FirestoreSdkStoreDeps): FirestoreSdkStore {
  const { databaseId = '(default)', clock, ...target } = deps
  const deadlineMs = deps.deadlineMs ?? deadlineMsByDefault
  const { within, transformCall } = createCallDeadlines()
  const client = createLazySdkClient({ ...target, databaseId, transformCall })
  const inFlight = createInFlight()
  const inTime = <T>(work: () => Promise<T>): Promise<T> => within(deadlineMs, () => inFlight.track(work))
  const reads = createSdkReads({ open: client.open, clock })
  const writes = createSdkWrites({
    open: client.open,
    clock,
    find: reads.find,
    send: (work) => within((deadlineMs * 2) / 3, work),
  })

  const store: DocumentStore = {
    get: async (key) => {
      checkKey(key)
      return await inTime(() => reads.get(key))
    },
    put: async (key, value, options = {}) => {
      checkKey(key)
      checkExpiry(options)
      const { expiresAt } = options
      const json = formatDocument(value)
      const fields = { json, nonce: crypto.randomUUID(), ...omitUndefined({ expiresAt }) }
      return await inTime(() => writes.put(key, fields, options.if))
    },
    delete: async (key, { version } = {}) => {
      checkKey(key)
      return await inTime(() => writes.remove(key, version))
    },
    list: async (options) => {
      checkListOptions(options)
      return await inTime(() => reads.list(options))
    },
  }
  // Its deadline: what hangs outside gRPC would keep the process for ever.
  const settled = () => within(deadlineMs, inFlight.settled).catch(() => {})
  return { store, close: () => client.close(settled) }
}
