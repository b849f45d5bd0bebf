import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { EpochSeconds } from '../domain/time.ts'
import { credentialDocumentOf, parseCredentialRecord } from './credential-codec.ts'
import { credentialKey, summaryOf, type CredentialRecord } from './credential-record.ts'
import { readModifyWrite, type ReadModifyWriteDeps } from './read-modify-write.ts'

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
    return { value: credentialDocumentOf(changed), result: summaryOf(changed) }
  })
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
