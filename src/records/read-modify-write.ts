import { BrokerError } from '../domain/broker-error.ts'
import { seconds, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Document, DocumentKey, DocumentStore, Stored } from '../ports/document-store.ts'
import type { Entropy } from '../ports/entropy.ts'

const attemptsMax = 12
const pauseMsMax = 100

export interface ReadModifyWriteDeps {
  readonly store: DocumentStore
  readonly clock: Clock
  readonly entropy: Entropy
}

/** What to write instead of what was read; `value: undefined` writes nothing. */
export interface Change<T> {
  readonly value: Document | undefined
  readonly expiresAt?: EpochSeconds
  readonly result: T
}

/**
 * Applies `decide` to one document by compare-and-set until nobody was in between, and returns its result. `decide`
 * may run several times and must have no effect of its own. Throws `store_unavailable` when the document stays
 * contended. Compare-and-set, not a transaction: eight writers take 0.25 s instead of several (src/README.md).
 */
export async function readModifyWrite<T>(
  { store, clock, entropy }: ReadModifyWriteDeps,
  key: DocumentKey,
  decide: (stored: Stored | undefined) => Change<T>,
): Promise<T> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const stored = await store.get(key)
    const { value, expiresAt, result } = decide(stored)
    if (value === undefined) return result
    const condition = stored === undefined ? 'absent' : { version: stored.version }
    const written = await store.put(key, value, {
      if: condition,
      ...(expiresAt === undefined ? {} : { expiresAt }),
    })
    if (written !== undefined) return result
    await clock.sleep(entropy.fraction() * Math.min(pauseMsMax, 5 * 2 ** attempt))
  }
  throw new BrokerError('store_unavailable', {
    reason: `${key} changed under us ${attemptsMax} times in a row`,
    retryAfter: seconds(1),
  })
}
