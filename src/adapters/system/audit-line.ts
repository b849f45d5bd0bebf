import type { AuditRecord } from '../../domain/audit-record.ts'
import { auditMembers, short } from './audit-members.ts'

const severities = { issued: 'INFO', done: 'NOTICE', refused: 'WARNING', failed: 'ERROR' } as const

/**
 * One line of JSON a record, with Cloud Logging's names around it and the record itself in snake_case under `audit`
 * (a log sink's filter is `jsonPayload.audit:*`). On the hot path: one object and one stringify, about 1 µs.
 */
export function createAuditLine(): (record: AuditRecord) => string {
  let second = -1
  let time = ''
  return (record) => {
    if (record.at !== second) {
      second = record.at
      time = new Date(second * 1000).toISOString()
    }
    return JSON.stringify({
      severity: severities[record.outcome],
      time,
      message: sentence(record),
      audit: auditMembers(record),
    })
  }
}

function sentence(record: AuditRecord): string {
  const { outcome, action, rule, source } = record
  const who =
    record.caller === undefined ? 'an unknown caller' : `${short(record.issuer)}/${short(record.caller)}`
  const of = record.credential ?? record.target
  const what = of === undefined ? action : `${action} of "${short(of)}"`
  switch (outcome) {
    case 'issued':
      return `issued token to ${who} by rule "${rule}" (${source})`
    case 'done':
      return `did ${what} for ${who}`
    case 'refused':
      return `refused ${what} to ${who}: ${short(record.reason)}`
    case 'failed':
      return `failed at ${what} for ${who}: ${short(record.reason)}`
  }
}
