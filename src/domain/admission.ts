import { BrokerError } from './broker-error.ts'
import type { Seconds } from './time.ts'

/** What a rate limit says of one more request. */
export type Admission =
  | { readonly admitted: true }
  | { readonly admitted: false; readonly retryAfter: Seconds }

/** Throws `caller_throttled` unless the request was admitted. */
export function requireAdmission(admission: Admission, reason: string): void {
  if (admission.admitted) return
  const { retryAfter } = admission
  throw new BrokerError('caller_throttled', { reason, retryAfter })
}
