import { BrokerError } from '../../domain/broker-error.ts'
import type { AuditTrail } from '../../ports/audit-trail.ts'
import { createAuditLine } from './audit-line.ts'

/**
 * One line of JSON a decision, in the form Cloud Logging reads. Resolves when `write` says that it is written; with
 * a line writer that is group commit. Throws `audit_unavailable` when it is not.
 */
export function createStdoutAuditTrail(deps: {
  readonly write: (line: string) => Promise<void>
}): AuditTrail {
  const auditLine = createAuditLine()
  return async (record) => {
    try {
      await deps.write(auditLine(record))
    } catch (cause) {
      throw new BrokerError('audit_unavailable', { reason: 'the audit record could not be written', cause })
    }
  }
}
