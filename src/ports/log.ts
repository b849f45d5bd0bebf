import type { AuditRecord } from '../domain/audit-record.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** One line of JSON each. Fields never hold secrets; a `Secret` in them prints as `[secret]`. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void

/** Done when the record is written; rejects when it could not be, and then no answer may leave. */
export type AuditTrail = (record: AuditRecord) => Promise<void>
