import type { BrokerError, BrokerErrorCode } from '../domain/broker-error.ts'

/** What one planned failure looks like on the wire. */
export interface Answer {
  readonly status: number
  /** RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 7009 §2.2.1 and RFC 6749 §4.1.2.1 for `temporarily_unavailable`. */
  readonly error: OAuthError
  readonly description: string
  /** Whether the error's public detail takes the description's place; never where it could reveal policy (P12). */
  readonly exposesDetail: boolean
}

export type OAuthError =
  | 'invalid_request'
  | 'unsupported_grant_type'
  | 'unsupported_token_type'
  | 'invalid_client'
  | 'invalid_target'
  | 'invalid_scope'
  | 'unauthorized_client'
  | 'temporarily_unavailable'
  | 'server_error'

const unavailable: Answer = {
  status: 503,
  error: 'temporarily_unavailable',
  description: 'the token service cannot serve this now, try again later',
  exposesDetail: false,
}

/** The table of docs/errors.md. A code without an answer does not compile. */
export const answers: Readonly<Record<BrokerErrorCode, Answer>> = {
  request_malformed: fault(400, 'invalid_request', 'the request is malformed'),
  request_too_large: fault(413, 'invalid_request', 'the request body is larger than 64 KiB'),
  grant_type_unsupported: fault(400, 'unsupported_grant_type', 'the grant type is not supported'),
  token_type_unsupported: refusal(400, 'unsupported_token_type', 'a token of this type cannot be revoked'),
  client_assertion_rejected: fault(401, 'invalid_client', 'the client assertion is not accepted'),
  subject_token_rejected: fault(400, 'invalid_request', 'the subject token is not accepted'),

  target_unavailable: refusal(400, 'invalid_target', 'the audience is not available to this caller'),
  scope_refused: fault(400, 'invalid_scope', 'the scope is malformed or more than this caller may have'),
  caller_throttled: refusal(429, 'temporarily_unavailable', 'too many requests, try again later'),

  service_stopped: unavailable,

  issuer_unavailable: unavailable,
  upstream_unavailable: unavailable,
  upstream_nonsense: refusal(502, 'server_error', 'the upstream gave an answer that cannot be used'),
  store_unavailable: unavailable,
  key_ring_unavailable: unavailable,
  policy_unavailable: unavailable,
  lease_busy: unavailable,
  audit_unavailable: unavailable,

  admin_unauthenticated: fault(401, 'invalid_client', 'a bearer token of an admin is needed'),
  admin_forbidden: refusal(403, 'unauthorized_client', 'this caller may not do that'),
  not_found: fault(404, 'invalid_request', 'there is nothing here'),
  already_exists: fault(409, 'invalid_request', 'it exists already'),
  changed_meanwhile: fault(412, 'invalid_request', 'it was changed meanwhile: read it again'),
  would_lock_out: fault(409, 'invalid_request', 'this would lock you out'),
  state_conflict: fault(409, 'invalid_request', 'its state does not allow that'),
  document_invalid: fault(422, 'invalid_request', 'the document is not valid'),
  not_supported: fault(409, 'invalid_request', 'this is not supported here'),
}

/** RFC 6749 §5.2: the token endpoint's answer to a planned failure. `challenge` goes with a 401 only. */
export function oauthRefusal(error: BrokerError, requestId: string, challenge?: string): Response {
  const answer = answers[error.code]
  const description = withRequestId(printable(detail(error, answer)), requestId)
  const text = JSON.stringify({ error: answer.error, error_description: description })
  return jsonAnswer({ status: answer.status, text, requestId, headers: refusalHeaders(error, challenge) })
}

/** At the end, so that whoever has no eye for headers can quote it to the broker's operator. */
export function withRequestId(description: string, requestId: string): string {
  return `${description}; request id ${requestId}`
}

/** RFC 9457: the admin API's answer to a planned failure, with our stable code beside the standard members. */
export function problemRefusal(error: BrokerError, requestId: string): Response {
  const answer = answers[error.code]
  const { status } = answer
  return problem({
    status,
    code: error.code,
    detail: detail(error, answer).slice(0, problemDetailMax),
    requestId,
    headers: refusalHeaders(error, 'Bearer'),
  })
}

/** Google's own answer for an account that may not be used, or is not there. */
const permissionDenied = {
  status: 403,
  description: 'permission denied on the account (or it may not exist)',
}
const unauthenticated = { status: 401 }
const asGoogleSays: Partial<Record<BrokerErrorCode, Partial<Answer>>> = {
  target_unavailable: permissionDenied,
  client_assertion_rejected: unauthenticated,
  subject_token_rejected: unauthenticated,
}
const googleStatuses: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  502: 'INTERNAL',
  503: 'UNAVAILABLE',
}

/** The answer of an API of Google's (https://google.aip.dev/193), as far as its client libraries read it. */
export function googleRefusal(error: BrokerError, requestId: string): Response {
  const answer = { ...answers[error.code], ...asGoogleSays[error.code] }
  const message = withRequestId(detail(error, answer), requestId)
  return googleError({
    status: answer.status,
    message,
    requestId,
    headers: refusalHeaders(error, 'Bearer', answer),
  })
}

export function googleBug(requestId: string): Response {
  return googleError({ status: 500, message: `an internal error; request id ${requestId}`, requestId })
}

function googleError({
  status,
  message,
  ...answer
}: {
  readonly status: number
  readonly message: string
  readonly requestId: string
  readonly headers?: Readonly<Record<string, string>>
}): Response {
  const error = { code: status, message, status: googleStatuses[status] ?? 'INVALID_ARGUMENT' }
  return jsonAnswer({ ...answer, status, text: JSON.stringify({ error }) })
}

/** A bug's answer says that there was one and nothing else. */
export function oauthBug(requestId: string): Response {
  return jsonAnswer({ status: 500, text: '{"error":"server_error"}', requestId })
}

export function problemBug(requestId: string): Response {
  return problem({ status: 500, requestId })
}

export interface Problem {
  readonly status: number
  readonly code?: string
  readonly detail?: string
  readonly requestId: string
  readonly headers?: Readonly<Record<string, string>>
}

/** RFC 9457 §4.2.1: with `about:blank` the title is the status's own phrase. */
export function problem({ status, code, detail, requestId, headers }: Problem): Response {
  return jsonAnswer({
    status,
    text: JSON.stringify({
      type: 'about:blank',
      title: phrases[status],
      status,
      code,
      detail,
      request_id: requestId,
    }),
    requestId,
    headers: { ...headers, 'Content-Type': 'application/problem+json' },
  })
}

const phrases: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

const descriptionMax = 300
const problemDetailMax = 8_192

function fault(status: number, error: OAuthError, description: string): Answer {
  return { status, error, description, exposesDetail: true }
}

function refusal(status: number, error: OAuthError, description: string): Answer {
  return { status, error, description, exposesDetail: false }
}

function detail(error: BrokerError, answer: Answer): string {
  return (answer.exposesDetail ? error.publicDetail : undefined) ?? answer.description
}

/** RFC 6749 §5.2: `error_description` has only %x20-21 / %x23-5B / %x5D-7E. */
function printable(text: string): string {
  return text
    .slice(0, descriptionMax)
    .replaceAll('"', "'")
    .replaceAll('\\', '/')
    .replaceAll(/[^\x20-\x7E]/gu, '?')
}

function refusalHeaders(
  error: BrokerError,
  challenge: string | undefined,
  { status } = answers[error.code],
): Record<string, string> {
  // RFC 9110 §10.2.3: whole seconds.
  if (status === 429 || status === 503) return { 'Retry-After': String(wholeSeconds(error.retryAfter)) }
  return status === 401 && challenge !== undefined ? { 'WWW-Authenticate': challenge } : {}
}

function wholeSeconds(wait: number | undefined): number {
  return wait !== undefined && Number.isFinite(wait) ? Math.max(1, Math.ceil(wait)) : 1
}

interface JsonAnswer {
  readonly status: number
  /** Already JSON. */
  readonly text: string | Uint8Array<ArrayBuffer>
  readonly requestId: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * An answer that nobody caches or sniffs and that carries its request id. The headers are one literal given at
 * construction: set one by one afterwards they cost the hot path a fifth of its speed.
 */
export function jsonAnswer({ status, text, requestId, headers }: JsonAnswer): Response {
  const always = {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    // RFC 6749 §5.1 asks for it beside Cache-Control.
    Pragma: 'no-cache',
    'X-Content-Type-Options': 'nosniff',
    'X-Request-Id': requestId,
  }
  return new Response(text, { status, headers: headers === undefined ? always : { ...always, ...headers } })
}

/** The same without a body, and so without its type. */
export function emptyAnswer({ status, requestId, headers }: Omit<JsonAnswer, 'text'>): Response {
  return new Response(null, {
    status,
    headers: {
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'X-Request-Id': requestId,
      ...headers,
    },
  })
}
