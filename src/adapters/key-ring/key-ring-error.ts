import { BrokerError } from '../../domain/broker-error.ts'
import type { Seconds } from '../../domain/time.ts'

/** `key_ring_unavailable`, with the reason that only the log sees. */
export function keyRingError(
  reason: string,
  { cause, retryAfter }: { readonly cause?: unknown; readonly retryAfter?: Seconds } = {},
): BrokerError {
  const wait = retryAfter === undefined ? {} : { retryAfter }
  return new BrokerError('key_ring_unavailable', { reason, cause, ...wait })
}
