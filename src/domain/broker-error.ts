import type { Caller } from './caller.ts'
import type { Seconds } from './time.ts'

/**
 * Every planned failure. Test the code, never the message. The HTTP layer owns what each code looks like on the wire
 * (`src/http/answers.ts`), and the compiler refuses a code without an answer.
 */
export const brokerErrorCodes = [
  // the request
  'request_malformed',
  'request_too_large',
  'grant_type_unsupported',
  'token_type_unsupported',
  'client_assertion_rejected',
  'subject_token_rejected',
  // what may be had
  'target_unavailable',
  'scope_refused',
  'caller_throttled',
  'service_stopped',
  // what we stand on
  'issuer_unavailable',
  'upstream_unavailable',
  'upstream_nonsense',
  'store_unavailable',
  'key_ring_unavailable',
  'policy_unavailable',
  'lease_busy',
  'audit_unavailable',
  // administration
  'admin_unauthenticated',
  'admin_forbidden',
  'not_found',
  'already_exists',
  'changed_meanwhile',
  'state_conflict',
  'would_lock_out',
  'document_invalid',
  'not_supported',
] as const

export type BrokerErrorCode = (typeof brokerErrorCodes)[number]

export interface BrokerErrorDetails {
  /** The true reason, for the log and the audit record. Never a secret. */
  readonly reason: string
  /** What the requester may read beyond the code's fixed text; only for errors in what the requester itself sent. */
  readonly publicDetail?: string | undefined
  readonly retryAfter?: Seconds | undefined
  /** How long the same request needs not be tried again, because it would fail the same way. */
  readonly rememberFor?: Seconds
  /** Of a refusal by policy: the condition that did not hold, as `explain` names it. */
  readonly condition?: string | undefined
  /** Who was refused while being authenticated, where the signature had verified already. */
  readonly caller?: Caller | undefined
  readonly cause?: unknown
}

/** A planned failure with a stable `code` and a true `reason` that only the log sees. */
export class BrokerError extends Error {
  readonly code: BrokerErrorCode
  readonly reason: string
  readonly publicDetail: string | undefined
  readonly retryAfter: Seconds | undefined
  readonly rememberFor: Seconds | undefined
  readonly condition: string | undefined
  readonly caller: Caller | undefined

  constructor(code: BrokerErrorCode, details: BrokerErrorDetails) {
    super(`${code}: ${details.reason}`, { cause: details.cause })
    this.name = 'BrokerError'
    this.code = code
    this.reason = details.reason
    this.publicDetail = details.publicDetail
    this.retryAfter = details.retryAfter
    this.rememberFor = details.rememberFor
    this.condition = details.condition
    this.caller = details.caller
  }
}

/** An error in what the requester itself sent. It names no value, so the answer may contain it as it is. */
export function requestMalformed(fault: string, condition?: string): BrokerError {
  return new BrokerError('request_malformed', { reason: fault, publicDetail: fault, condition })
}

/** Of a credential that cannot serve the request. */
export function unusableCredential(name: string, why: string): BrokerError {
  return new BrokerError('target_unavailable', { reason: `credential ${name} ${why}` })
}

export function isBrokerError(error: unknown): error is BrokerError {
  return error instanceof BrokerError
}

/** What a rate limit says of one more request. */
export type Admission =
  | { readonly admitted: true }
  | { readonly admitted: false; readonly retryAfter: Seconds }

/** Throws `caller_throttled` unless the request was admitted. */
export function requireAdmission(admission: Admission, reason: string, caller?: Caller): void {
  if (admission.admitted) return
  const { retryAfter } = admission
  throw new BrokerError('caller_throttled', { reason, retryAfter, caller })
}

/** Every fault is told outside: none may name a secret. */
export function invalidDocument(faults: readonly string[]): BrokerError {
  const text = faults.join('; ')
  return new BrokerError('document_invalid', { reason: text, publicDetail: text })
}
