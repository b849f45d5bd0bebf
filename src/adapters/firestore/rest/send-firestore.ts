import { Secret } from '../../../domain/secret.ts'
import type { Clock } from '../../../ports/clock.ts'
import type { Entropy } from '../../../ports/entropy.ts'
import type { HttpClient, HttpAnswer, HttpResult } from '../../../ports/http-client.ts'
import { type Status, firestoreError, leavesOutcomeUnknown, statusOfName } from '../status.ts'
import { BrokerError } from '../../../domain/broker-error.ts'
import { retryWithin } from '../../../domain/retry.ts'
import { holdToken, jsonRequest, readGoogleError, type AccessToken } from '../../../google/api-request.ts'
import { parseRetryAfter, type EpochSeconds, type Seconds } from '../../../domain/time.ts'
import { omitUndefined } from '../../../domain/omit-undefined.ts'
import { parseJson } from '../../../domain/json.ts'

export interface SendFirestoreDeps {
  /** Ends in `/documents`. */
  readonly documentsUrl: string
  /** Absent beside an emulator. */
  readonly accessToken: AccessToken | undefined
  readonly http: HttpClient
  readonly clock: Clock
  readonly entropy: Entropy
  /** Most that one attempt may take. */
  readonly attemptMs: number
}

export interface FirestoreCall {
  readonly method: 'batchGet' | 'batchWrite' | 'commit' | 'runQuery'
  readonly body: unknown
  /** By the steady clock; nothing of the call outlives it. */
  readonly endMs: number
  readonly maxBytes: number
}

export type SendFirestore = (call: FirestoreCall) => Promise<RestReply>

/** Every rule of the emulator's grants it. */
const emulatorToken = new Secret('owner')
const bounds = { attemptMsMin: 50, retriesMax: 2 }
/** Full jitter over 100 ms, then 200 ms. */
const pauseMs = 100

/** Certainly not done, whatever the method. */
const notDone: readonly unknown[] = ['ABORTED', 'RESOURCE_EXHAUSTED'] satisfies readonly Status[]
const passing: readonly unknown[] = [
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
  'UNAVAILABLE',
  'UNKNOWN',
] satisfies readonly Status[]

/**
 * One call of Firestore's REST API, sent again while the deadline allows it: a read after any passing trouble, a
 * write only when it certainly was not done. What went wrong is a value; only `accessToken` makes it throw.
 */
export function createSendFirestore(deps: SendFirestoreDeps): SendFirestore {
  const { accessToken, clock, entropy, attemptMs } = deps
  return async (call) => {
    const token = accessToken === undefined ? undefined : await holdToken(accessToken)
    const waitMs = async (reply: RestReply, retries: number): Promise<number | undefined> => {
      if (reply.ok) return undefined
      if (reply.status === 'UNAUTHENTICATED' && token !== undefined)
        return (await token.replace()) ? 0 : undefined
      if (!mayRepeat(call, reply)) return undefined
      return (reply.retryAfter ?? 0) * 1000 + entropy.fraction() * pauseMs * 2 ** retries
    }
    const reply = await retryWithin(
      { ...bounds, clock, attemptMs, deadlineMs: call.endMs, waitMs },
      (timeoutMs) => send(deps, call, { token: token?.current(), timeoutMs }),
    )
    return reply ?? restFault('DEADLINE_EXCEEDED', 'no time was left to ask')
  }
}

interface Attempt {
  readonly token: Secret | undefined
  readonly timeoutMs: number
}

async function send(
  { http, clock, documentsUrl }: SendFirestoreDeps,
  { method, body, maxBytes }: FirestoreCall,
  { token = emulatorToken, timeoutMs }: Attempt,
): Promise<RestReply> {
  const url = `${documentsUrl}:${method}`
  const result = await http({ ...jsonRequest({ url, token, json: body }), timeoutMs, maxBytes })
  const reply = readRestResult(result, clock.now())
  return reply.ok || token === emulatorToken ? reply : withoutToken(reply, token)
}

/** A proxy's error page may show the request: what is quoted never holds the token (P23). */
function withoutToken(fault: RestFault, token: Secret): RestFault {
  return { ...fault, message: fault.message.replaceAll(token.reveal(), '[cut]') }
}

function mayRepeat({ method }: FirestoreCall, { status }: RestFault): boolean {
  const isRead = method === 'batchGet' || method === 'runQuery'
  return notDone.includes(status) || (isRead && passing.includes(status))
}

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
  return new BrokerError(code, { reason, cause, retryAfter })
}

function readAnswer({ status, body, header }: HttpAnswer, now: EpochSeconds): RestReply {
  const json = parseJson(body)
  const error = readGoogleError(body)
  if (status === 200 && error === undefined)
    return json === undefined ? restFault(undefined, 'it is not JSON') : { ok: true, body: json }
  const message = error?.message ?? `HTTP ${status}`
  const retryAfter = parseRetryAfter(header('retry-after'), now)
  return {
    ...restFault(statusOfName(error?.status) ?? statusOfHttp(status), message),
    ...omitUndefined({ retryAfter }),
  }
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
