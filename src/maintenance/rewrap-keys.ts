import { inBatches } from '../domain/promises.ts'
import { epochSeconds, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentKey, Stored } from '../ports/document-store.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { Rewraps, Rewrapped } from '../records/rewraps.ts'

/** What one run did, and where the next one goes on. */
export interface RewrapReport {
  /** The key that seals, and that everything is sealed under in the end. */
  readonly sealingKey: string
  readonly rewrapped: number
  /** Sealed under that key before, or under none. */
  readonly already: number
  /** Left as they are: tokens that go by themselves within the hour. */
  readonly passing: number
  readonly failed: readonly FailedRewrap[]
  /** Other keys that something of what was looked at is still sealed under. */
  readonly stillInUse: readonly KeyInUse[]
  /** Where the next run goes on; absent at the end. */
  readonly after?: DocumentKey
}

export interface FailedRewrap {
  readonly key: DocumentKey
  readonly reason: string
}

export interface KeyInUse {
  readonly keyId: string
  readonly records: number
  /** When the last of them goes by itself; absent when one does not. */
  readonly until?: EpochSeconds
}

/**
 * Seals at most `limit` records anew under the first key of the ring. It may be stopped anywhere, run twice at once
 * and run under load. Throws `key_ring_unavailable` and `store_unavailable`; what was done until then stays done.
 */
export type RewrapKeys = (page: {
  readonly after?: DocumentKey
  readonly limit: number
}) => Promise<RewrapReport>

export interface RewrapKeysDeps {
  readonly rewraps: Rewraps
  readonly keyRing: Pick<KeyRing, 'renew'>
  readonly clock: Pick<Clock, 'sleep'>
}

/** A page in which there is nothing to do costs one call of the store: a run goes on to the next, so many in all. */
const lookedAtMax = 1000
/** Each waits for the store most of the time; Workers let six calls out at once. */
const atOnce = 6

export function createRewrapKeys({ rewraps, keyRing, clock }: RewrapKeysDeps): RewrapKeys {
  const rewrapOne = async (stored: Stored, sealingKey: string): Promise<Result> => {
    const rewrapped = await rewraps.rewrap(stored, sealingKey)
    // SQLite answers at once: a thousand records that need nothing would be one turn of half a second.
    await clock.sleep(0)
    return { key: stored.key, rewrapped }
  }

  return async ({ after: start, limit }) => {
    const sealingKey = await keyRing.renew()
    const results: Result[] = []
    for (let after = start; ;) {
      const page = await rewraps.page(after, limit)
      results.push(...(await inBatches(page, atOnce, (stored) => rewrapOne(stored, sealingKey))))
      const last = page.at(-1)
      if (last === undefined || page.length < limit) return reportOf(sealingKey, results)
      if (results.some(didSomething) || results.length >= lookedAtMax)
        return { ...reportOf(sealingKey, results), after: last.key }
      after = last.key
    }
  }
}

interface Result {
  readonly key: DocumentKey
  readonly rewrapped: Rewrapped
}

function didSomething({ rewrapped: { outcome } }: Result): boolean {
  return outcome === 'rewrapped' || outcome === 'failed'
}

function reportOf(sealingKey: string, results: readonly Result[]): RewrapReport {
  const count = (wanted: Rewrapped['outcome']): number =>
    results.filter(({ rewrapped }) => rewrapped.outcome === wanted).length
  return {
    sealingKey,
    rewrapped: count('rewrapped'),
    already: count('already'),
    passing: count('passing'),
    failed: results.flatMap(({ key, rewrapped: { outcome, reason = '' } }) =>
      outcome === 'failed' ? [{ key, reason }] : [],
    ),
    stillInUse: keysInUse(sealingKey, results),
  }
}

function keysInUse(sealingKey: string, results: readonly Result[]): readonly KeyInUse[] {
  const uses = new Map<string, KeyInUse>()
  for (const { rewrapped } of results) {
    const { keyIds, expiresAt } = rewrapped
    for (const keyId of keyIds) {
      if (keyId !== sealingKey) uses.set(keyId, withOneMore(uses.get(keyId), keyId, expiresAt))
    }
  }
  return [...uses.values()]
}

function withOneMore(
  before: KeyInUse | undefined,
  keyId: string,
  expiresAt: EpochSeconds | undefined,
): KeyInUse {
  const isLasting = expiresAt === undefined || (before !== undefined && before.until === undefined)
  const records = (before?.records ?? 0) + 1
  if (isLasting) return { keyId, records }
  return { keyId, records, until: epochSeconds(Math.max(expiresAt, before?.until ?? 0)) }
}
