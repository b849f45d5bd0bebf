import type { AuditRecord } from '../domain/audit-record.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { later, seconds } from '../domain/time.ts'
import type { AuditTrail } from '../ports/audit-trail.ts'
import type { Document, DocumentStore } from '../ports/document-store.ts'

const secondsPerDay = 86_400

export interface StoredAuditTrailDeps {
  readonly store: DocumentStore
  readonly keepDays: number
  /** The record in the form in which it is written everywhere. */
  readonly membersOf: (record: AuditRecord) => Document
}

/** The trail of decisions kept in the store, for `keepDays` days; ids sort by time. */
export function createStoredAuditTrail({ store, keepDays, membersOf }: StoredAuditTrailDeps): AuditTrail {
  return async (record) => {
    const key = `audit/${String(record.at).padStart(12, '0')}-${record.requestId}`
    const expiresAt = later(record.at, seconds(keepDays * secondsPerDay))
    const written = await store.put(key, { schema: 1, ...membersOf(record) }, { if: 'absent', expiresAt })
    if (written === undefined)
      throw new BrokerError('audit_unavailable', { reason: `the audit record ${key} was there already` })
  }
}

/** Writes to every trail; the record counts as written when all have it. Else it throws `audit_unavailable`. */
export function createAuditTrails(trails: readonly AuditTrail[]): AuditTrail {
  return async (record) => {
    try {
      await Promise.all(trails.map((trail) => trail(record)))
    } catch (cause) {
      const why = isBrokerError(cause) ? cause.reason : 'a bug in the audit trail'
      const reason = `no audit record of ${record.action} (${record.error ?? record.outcome}): ${why}`
      throw new BrokerError('audit_unavailable', { reason, retryAfter: seconds(1), cause })
    }
  }
}
