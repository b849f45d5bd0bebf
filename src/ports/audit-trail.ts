import type { AuditRecord } from '../domain/audit-record.ts'

/** Done when the record is written; rejects when it could not be, and then no answer may leave. */
export type AuditTrail = (record: AuditRecord) => Promise<void>
