import { BrokerError } from '../domain/broker-error.ts'

/** What a credential's state forbids; `why` is told outside too. */
export function stateConflict({ name }: { readonly name: string }, why: string): BrokerError {
  return new BrokerError('state_conflict', { reason: `credential ${name}: ${why}`, publicDetail: why })
}
