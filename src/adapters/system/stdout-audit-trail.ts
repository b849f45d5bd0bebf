import type { AtHand } from '../../domain/at-hand.ts'
import { BrokerError } from '../../domain/broker-error.ts'
import type { AuditTrail } from '../../ports/audit-trail.ts'
import { createAuditLine } from './audit-line.ts'

/**
 * One line of JSON a decision, in the form Cloud Logging reads. Done when `write` says that it is written; with a line
 * writer that is group commit. Throws or rejects with `audit_unavailable` when it is not.
 */
export function createStdoutAuditTrail(deps: { readonly write: (line: string) => AtHand<void> }): AuditTrail {
  const auditLine = createAuditLine()
  return (record) => {
    try {
      const written = deps.write(auditLine(record))
      return written instanceof Promise ? written.catch(fail) : undefined
    } catch (cause) {
      return fail(cause)
    }
  }
}

function fail(cause: unknown): never {
  throw new BrokerError('audit_unavailable', { reason: 'the audit record could not be written', cause })
}
