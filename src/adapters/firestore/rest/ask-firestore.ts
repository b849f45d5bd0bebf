import type { Secret } from '../../../domain/secret.ts'
import type { Clock } from '../../../ports/clock.ts'
import type { Entropy } from '../../../ports/entropy.ts'
import type { HttpClient } from '../../../ports/http-client.ts'
import type { Status } from '../status.ts'
import { readRestResult, restFault, type RestFault, type RestReply } from './rest-answer.ts'

/**
 * A token for Firestore. Settles within two seconds; throws `store_unavailable`. `refused`: the one that was answered
 * with 401; the same again means that there is no other.
 */
export type AccessToken = (refused?: Secret) => Promise<Secret>

export interface AskFirestoreDeps {
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
  readonly method: 'batchGet' | 'commit' | 'runQuery'
  readonly body: unknown
  /** By the steady clock; nothing of the call outlives it. */
  readonly endMs: number
  readonly maxBytes: number
}

export type AskFirestore = (call: FirestoreCall) => Promise<RestReply>

/** Every rule of the emulator's grants it. */
const emulatorToken = 'owner'
const retriesMax = 2
/** Full jitter over 100 ms, then 200 ms. */
const pauseMs = 100
/** Less than this is no attempt: what may come of it is an unknown outcome. */
const attemptMsMin = 50

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
export function createAskFirestore(deps: AskFirestoreDeps): AskFirestore {
  const { clock, entropy } = deps
  return async (call) => {
    let token = await deps.accessToken?.()
    for (let attempt = 0; ; attempt += 1) {
      const leftMs = call.endMs - clock.steadyMs()
      if (leftMs < attemptMsMin) return restFault('DEADLINE_EXCEEDED', 'no time was left to ask')
      const reply = await send(deps, call, { token, timeoutMs: Math.min(deps.attemptMs, leftMs) })
      if (reply.ok || attempt === retriesMax) return reply
      if (reply.status === 'UNAUTHENTICATED' && token !== undefined) {
        const next = await deps.accessToken?.(token)
        if (next?.reveal() === token.reveal()) return reply
        token = next
        continue
      }
      if (!mayRepeat(call, reply)) return reply
      const waitMs = (reply.retryAfter ?? 0) * 1000 + entropy.fraction() * pauseMs * 2 ** attempt
      if (clock.steadyMs() + waitMs + attemptMsMin > call.endMs) return reply
      await clock.sleep(waitMs)
    }
  }
}

interface Attempt {
  readonly token: Secret | undefined
  readonly timeoutMs: number
}

async function send(
  { http, clock, documentsUrl }: AskFirestoreDeps,
  { method, body, maxBytes }: FirestoreCall,
  { token, timeoutMs }: Attempt,
): Promise<RestReply> {
  const result = await http({
    method: 'POST',
    url: `${documentsUrl}:${method}`,
    headers: {
      authorization: `Bearer ${token?.reveal() ?? emulatorToken}`,
      'content-type': 'application/json',
      accept: 'application/json',
    },
    body: JSON.stringify(body),
    timeoutMs,
    maxBytes,
  })
  const reply = readRestResult(result, clock.now())
  return reply.ok || token === undefined ? reply : withoutToken(reply, token)
}

/** A proxy's error page may show the request: what is quoted never holds the token (P23). */
function withoutToken(fault: RestFault, token: Secret): RestFault {
  return { ...fault, message: fault.message.replaceAll(token.reveal(), '[cut]') }
}

function mayRepeat({ method }: FirestoreCall, { status }: RestFault): boolean {
  return notDone.includes(status) || (method !== 'commit' && passing.includes(status))
}
