import { BrokerError } from '../domain/broker-error.ts'
import { seconds, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Document, DocumentKey, DocumentStore, Stored } from '../ports/document-store.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { CredentialHealth, CredentialSummary } from '../domain/credential.ts'
import { credentialDocumentOf, parseCredentialRecord } from './credential-codec.ts'
import { credentialKey, summaryOf, type CredentialRecord } from './credential-record.ts'

const attemptsMax = 12
const pauseMsMax = 100

export interface ReadModifyWriteDeps {
  readonly store: DocumentStore
  readonly clock: Clock
  readonly entropy: Entropy
  readonly noticeHealth?: NoticeHealth | undefined
}

/** Told of a credential that broke, or is not broken any more, once that is written; must not throw. */
export type NoticeHealth = (name: string, health: CredentialHealth) => void

/** What to write instead of what was read; `value: undefined` writes nothing. */
export interface Change<T> {
  readonly value: Document | undefined
  readonly expiresAt?: EpochSeconds | undefined
  readonly result: T
  /** Called once it is written. */
  readonly written?: (() => void) | undefined
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
    const { value, expiresAt, result, written: whenWritten } = decide(stored)
    if (value === undefined) return result
    const condition = stored === undefined ? 'absent' : { version: stored.version }
    const written = await store.put(key, value, { if: condition, expiresAt })
    if (written !== undefined) {
      whenWritten?.()
      return result
    }
    await clock.sleep(entropy.fraction() * Math.min(pauseMsMax, 5 * 2 ** attempt))
  }
  throw new BrokerError('store_unavailable', {
    reason: `${key} was changed by other instances ${attemptsMax} times in a row`,
    retryAfter: seconds(1),
  })
}

/**
 * Changes one credential by compare-and-set and says how it is then; `undefined` when there is none of that name.
 * Writes nothing when `revise` gives back the record it was given. Throws what `revise` throws, and `changed_meanwhile`
 * unless it is at `expected`.
 */
export function changeCredential(
  deps: ReadModifyWriteDeps,
  name: string,
  revise: (record: CredentialRecord, now: EpochSeconds) => CredentialRecord,
  expected?: Revision,
): Promise<CredentialSummary | undefined> {
  return readModifyWrite(deps, credentialKey(name), (stored) => {
    if (stored === undefined) return { value: undefined, result: undefined }
    const before = parseCredentialRecord(stored)
    refuseUnlessAt(before, expected)
    const now = deps.clock.now()
    const after = revise(before, now)
    if (after === before) return { value: undefined, result: summaryOf(before) }
    const changed = stamped(after, now)
    const written = tellHealth(deps.noticeHealth, before, changed)
    return { value: credentialDocumentOf(changed), result: summaryOf(changed), written }
  })
}

/** What tells that the change made the credential break or recover; `undefined` where it did neither. */
export function tellHealth(
  noticeHealth: NoticeHealth | undefined,
  { health: former }: CredentialRecord,
  { name, health }: CredentialRecord,
): (() => void) | undefined {
  const hasTurned = (former.status === 'broken') !== (health.status === 'broken')
  return hasTurned ? () => noticeHealth?.(name, health) : undefined
}

/** What every change that is shown carries: whoever saw the record before it holds an old `ETag`. */
export function stamped(record: CredentialRecord, now: EpochSeconds): CredentialRecord {
  return { ...record, revision: record.revision + 1, updatedAt: now }
}

/** The revision that somebody has seen, as text; absent, whichever it is at. */
export type Revision = string | undefined

export function refuseUnlessAt({ name, revision }: CredentialRecord, expected: Revision): void {
  if (expected !== undefined && expected !== String(revision))
    throw new BrokerError('changed_meanwhile', { reason: `credential ${name} is at revision ${revision}` })
}
