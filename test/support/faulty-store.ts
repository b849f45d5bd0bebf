import { BrokerError } from '../../src/domain/broker-error.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'

type Operation = keyof DocumentStore

export interface FaultyStore extends DocumentStore {
  /** Every operation throws `store_unavailable` until it is set back. */
  down: boolean
  /** The next `put` is carried out, and then reported as failed: an unknown outcome. */
  losesNextAnswer: boolean
  /** Runs before each operation; may wait. */
  before: (operation: Operation, key: string) => Promise<void>
  readonly counts: Readonly<Record<Operation, number>>
}

/** A real store whose connection can be broken. */
export function createFaultyStore(inner: DocumentStore): FaultyStore {
  const counts = { get: 0, put: 0, delete: 0, list: 0 }
  const pass = async <T>(operation: Operation, key: string, work: () => Promise<T>): Promise<T> => {
    counts[operation] += 1
    await faulty.before(operation, key)
    if (faulty.down) throw unavailable('down')
    return work()
  }
  const faulty: FaultyStore = {
    down: false,
    losesNextAnswer: false,
    before: () => Promise.resolve(),
    counts,
    get: (key) => pass('get', key, () => inner.get(key)),
    put: async (key, value, options) => {
      const version = await pass('put', key, () => inner.put(key, value, options))
      if (!faulty.losesNextAnswer) return version
      faulty.losesNextAnswer = false
      throw unavailable('the answer was lost')
    },
    delete: (key, options) => pass('delete', key, () => inner.delete(key, options)),
    list: (options) => pass('list', options.prefix, () => inner.list(options)),
  }
  return faulty
}

function unavailable(reason: string): BrokerError {
  return new BrokerError('store_unavailable', { reason: `test store: ${reason}` })
}
