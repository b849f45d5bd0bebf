import type { MaybePromise } from '../domain/promises.ts'
import type { AuditRecord } from '../domain/audit-record.ts'

/**
 * Done when the record is written, which may be at once; throws or rejects when it could not be, and then no answer
 * may leave.
 */
export type AuditTrail = (record: AuditRecord) => MaybePromise<void>
