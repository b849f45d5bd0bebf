import { BrokerError } from '../domain/broker-error.ts'

/** Every fault is told outside: none may name a secret. */
export function invalidDocument(faults: readonly string[]): BrokerError {
  const text = faults.join('; ')
  return new BrokerError('document_invalid', { reason: text, publicDetail: text })
}
