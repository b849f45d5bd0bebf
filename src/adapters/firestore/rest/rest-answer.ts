import { BrokerError } from '../../../domain/broker-error.ts'
import { isMembers, type Members } from '../../../domain/json-object.ts'
import { parseRetryAfter } from '../../../domain/retry-after.ts'
import type { EpochSeconds, Seconds } from '../../../domain/time.ts'
import type { HttpAnswer, HttpResult } from '../../../ports/http-client.ts'
import { firestoreError, leavesOutcomeUnknown, statusOfName, type Status } from '../status.ts'

export type RestReply = { readonly ok: true; readonly body: unknown } | RestFault

export interface RestFault {
  readonly ok: false
  /** `undefined` when what came is none of Firestore's answers. */
  readonly status: Status | undefined
  /** Firestore's own words, or what is wrong with the answer. */
  readonly message: string
  readonly isTooLarge: boolean
  readonly retryAfter?: Seconds
}

/** What came of one call: the parsed body of a success, or the fault with its canonical status. */
export function readRestResult(result: HttpResult, now: EpochSeconds): RestReply {
  if (result.kind === 'answer') return readAnswer(result, now)
  const { cause, detail } = result
  switch (cause) {
    case 'timeout':
      return restFault('DEADLINE_EXCEEDED', detail)
    case 'network':
      return restFault('UNAVAILABLE', detail)
    case 'too_large':
      return { ...restFault(undefined, detail), isTooLarge: true }
    case 'redirect':
      return restFault(undefined, detail)
  }
}

export function restFault(status: Status | undefined, message: string): RestFault {
  return { ok: false, status, message, isTooLarge: false }
}

/** After these a write may have been done, or may not. An answer that is not Firestore's says nothing about it. */
export function mayHaveWritten({ status }: RestFault): boolean {
  return status === undefined || leavesOutcomeUnknown(status)
}

/** `store_unavailable`, with the wait that Firestore asked for. */
export function restError({ status, message, retryAfter }: RestFault): BrokerError {
  if (status === undefined) {
    const words = message.slice(0, 200)
    return new BrokerError('store_unavailable', { reason: `Firestore: its answer is unusable (${words})` })
  }
  const { code, reason, cause } = firestoreError(status, new Error(message))
  return new BrokerError(code, { reason, cause, ...(retryAfter === undefined ? {} : { retryAfter }) })
}

function readAnswer({ status, body, header }: HttpAnswer, now: EpochSeconds): RestReply {
  const json = parseJson(body)
  const error = errorIn(json)
  if (status === 200 && error === undefined)
    return json === undefined ? restFault(undefined, 'it is not JSON') : { ok: true, body: json }
  const message = typeof error?.['message'] === 'string' ? error['message'] : `HTTP ${status}`
  const retryAfter = parseRetryAfter(header('retry-after'), now)
  return {
    ...restFault(statusOfName(error?.['status']) ?? statusOfHttp(status), message),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `{"error":{…}}`; a streaming method wraps it in an array, and may end an array with it that began with 200. */
function errorIn(json: unknown): Members | undefined {
  const elements: readonly unknown[] = Array.isArray(json) ? json : [json]
  for (const element of elements)
    if (isMembers(element) && isMembers(element['error'])) return element['error']
  return undefined
}

/** For answers of what stands between: only where the number alone says whose fault it is. */
function statusOfHttp(status: number): Status | undefined {
  switch (status) {
    case 401:
      return 'UNAUTHENTICATED'
    case 403:
      return 'PERMISSION_DENIED'
    case 429:
      return 'RESOURCE_EXHAUSTED'
    case 500:
      return 'INTERNAL'
    case 502:
    case 503:
      return 'UNAVAILABLE'
    case 504:
      return 'DEADLINE_EXCEEDED'
    default:
      return undefined
  }
}
