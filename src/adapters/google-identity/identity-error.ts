import { BrokerError } from '../../domain/broker-error.ts'
import { seconds } from '../../domain/time.ts'

/** `store_unavailable` that tells the broker's own identity from a caller's credential. */
export function identityError(reason: string): BrokerError {
  const text = `the broker's own identity towards Google: ${reason}`
  return new BrokerError('store_unavailable', { reason: text, retryAfter: seconds(2) })
}
