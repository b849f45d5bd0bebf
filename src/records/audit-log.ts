import type { AuditRecord } from '../domain/audit-record.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { Json } from '../domain/caller.ts'
import { later, seconds } from '../domain/time.ts'
import type { AuditTrail } from '../ports/audit-trail.ts'
import type { Document, DocumentStore } from '../ports/document-store.ts'

const secondsPerDay = 86_400

export interface StoredAuditTrailDeps {
  readonly store: DocumentStore
  readonly keepDays: number
  /** The record in the form in which it is written everywhere. */
  readonly membersOf: (record: AuditRecord) => Readonly<Record<string, Json | undefined>>
}

/** The trail of decisions kept in the store, for `keepDays` days; ids sort by time. */
export function createStoredAuditTrail({ store, keepDays, membersOf }: StoredAuditTrailDeps): AuditTrail {
  return async (record) => {
    const key = `audit/${String(record.at).padStart(12, '0')}-${record.requestId}`
    const expiresAt = later(record.at, seconds(keepDays * secondsPerDay))
    const written = await store.put(key, documentOf(membersOf(record)), { if: 'absent', expiresAt })
    if (written === undefined)
      throw new BrokerError('audit_unavailable', { reason: `the audit record ${key} was there already` })
  }
}

function documentOf(members: Readonly<Record<string, Json | undefined>>): Document {
  const known = Object.entries(members).filter((member): member is [string, Json] => member[1] !== undefined)
  return { schema: 1, ...Object.fromEntries(known) }
}

/** Writes to every trail; the record counts as written when all have it. Else it throws `audit_unavailable`. */
export function createAuditTrails(trails: readonly AuditTrail[]): AuditTrail {
  const [first, ...others] = trails
  const write: AuditTrail =
    first !== undefined && others.length === 0
      ? first
      : async (record) => {
          await Promise.all(trails.map(async (trail) => trail(record)))
        }
  return (record) => {
    const fail = (cause: unknown): never => refuse(record, cause)
    try {
      const written = write(record)
      return written instanceof Promise ? written.catch(fail) : undefined
    } catch (cause) {
      return fail(cause)
    }
  }
}

function refuse({ action, outcome, error }: AuditRecord, cause: unknown): never {
  const why = isBrokerError(cause) ? cause.reason : 'a bug in the audit trail'
  const reason = `no audit record of ${action} (${error ?? outcome}): ${why}`
  throw new BrokerError('audit_unavailable', { reason, retryAfter: seconds(1), cause })
}
