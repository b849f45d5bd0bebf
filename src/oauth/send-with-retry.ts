import type { Members } from '../domain/json.ts'
import { createRetryBudget, retryWithin } from '../domain/retry.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import { parseRetryAfter, seconds, type EpochSeconds, type Seconds } from '../domain/time.ts'
import type { Repeatable } from '../domain/upstream.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { HttpAnswer, HttpClient, HttpFailure, HttpResult } from '../ports/http-client.ts'

/** A token endpoint answers in 0.1 s; three seconds are an outage. */
const attemptTimeoutMs = 3000
/** A `Retry-After` of more is told to the caller; what is shorter is waited for. */
const waitMsMax = 3000
const bounds = { attemptMsMin: 250, retriesMax: 2 }
const answerBytesMax = 64 * 1024
/** Full jitter over 300 ms, then 600 ms. */
const pauseMs = 300
/** Credentials whose upstream asked for a pause, at most at once. */
const heldBackMax = 1000

/** A form as OAuth has it, or JSON as Google's own services have it. */
export type UpstreamRequest = RequestParts &
  ({ readonly form: Readonly<Record<string, string>> } | { readonly json: Members })

interface RequestParts {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /**
   * What proves us, to be sent along. Made anew for every attempt: a signed assertion counts once, and its second
   * coming would be blamed on the client. Never rejects.
   */
  readonly prove?: () => Promise<ClientProof>
  /** Whose request it is: a `Retry-After` holds back the requests of this credential and no others. */
  readonly credential: string
  readonly repeatable: Repeatable
  /** By the steady clock. */
  readonly deadlineMs: number
}

export interface ClientProof {
  readonly headers: Readonly<Record<string, string>>
  readonly form: Readonly<Record<string, string>>
}

/** `uncertain`: some attempt may have taken effect upstream without our hearing of it. */
export type UpstreamReply =
  | {
      readonly kind: 'answer'
      readonly answer: HttpAnswer
      readonly sentAt: EpochSeconds
      readonly uncertain: boolean
    }
  | { readonly kind: 'failure'; readonly failure: HttpFailure; readonly uncertain: boolean }
  | {
      readonly kind: 'not_sent'
      readonly reason: string
      readonly retryAfter: Seconds
      readonly uncertain: boolean
    }

export interface SendWithRetryDeps {
  readonly http: HttpClient
  readonly clock: Clock
  readonly entropy: Entropy
}

export type SendWithRetry = (question: UpstreamRequest) => Promise<UpstreamReply>

/**
 * Posts a question and gives back what came of it; never rejects. At most 3 s an attempt, two retries with full jitter
 * within the deadline and the retry budget, none before `Retry-After` has passed; until then later questions of the
 * same credential are not sent either (P21). Of a question that may not always be
 * repeated an attempt takes all the time there is: it is not sent again while its answer may come.
 */
export function createSendWithRetry(deps: SendWithRetryDeps): SendWithRetry {
  const { clock, entropy } = deps
  const budget = createRetryBudget()
  const heldBack = createRecentlyUsed<number>({ sizeMax: heldBackMax })

  const fits = (waitMs: number, { deadlineMs }: UpstreamRequest): boolean =>
    waitMs <= waitMsMax && clock.steadyMs() + waitMs + bounds.attemptMsMin <= deadlineMs

  return async (question) => {
    const place = JSON.stringify([question.url, question.credential])
    const heldMs = (heldBack.get(place) ?? 0) - clock.steadyMs()
    if (heldMs > 0 && !fits(heldMs, question)) return notSent('the upstream asked for a pause', heldMs)
    if (heldMs > 0) await clock.sleep(heldMs + entropy.fraction() * pauseMs)
    budget.noteFirstAttempt()
    let uncertain = false
    const attempt = async (timeoutMs: number): Promise<Attempt> => {
      const sentAt = clock.now()
      const result = await post(deps.http, question, timeoutMs)
      const mayRepeat = isTransient(result) && (!mayHaveActed(result) || isRepeatable(question, uncertain))
      uncertain ||= mayHaveActed(result)
      const asked = pauseAskedFor(result, clock.now())
      if (asked !== undefined)
        heldBack.set(place, clock.steadyMs() + asked * 1000 * (1 + entropy.fraction() / 10))
      return { result, sentAt, mayRepeat, askedMs: (asked ?? 0) * 1000 }
    }
    const waitMs = ({ mayRepeat, askedMs }: Attempt, retries: number): number | undefined => {
      const wait = askedMs + entropy.fraction() * pauseMs * 2 ** retries
      return mayRepeat && fits(wait, question) && budget.mayRetry() ? wait : undefined
    }
    const attemptMs = question.repeatable === 'always' ? attemptTimeoutMs : Infinity
    const { deadlineMs } = question
    const last = await retryWithin({ ...bounds, clock, deadlineMs, attemptMs, waitMs }, attempt)
    if (last === undefined) return { ...notSent('no time was left to ask', 1000), uncertain }
    return replyOf(last, uncertain)
  }
}

interface Attempt {
  readonly result: HttpResult
  readonly sentAt: EpochSeconds
  readonly mayRepeat: boolean
  /** What the upstream asked for. */
  readonly askedMs: number
}

function isTransient(result: HttpResult): boolean {
  if (result.kind === 'answer') return isTransientStatus(result.status)
  return result.cause === 'network' || result.cause === 'timeout'
}

/** Whether an answer says no more than "not now". */
export function isTransientStatus(status: number): boolean {
  // 501 is no passing trouble: that server will not learn it.
  return status === 408 || status === 429 || (status >= 500 && status !== 501)
}

async function post(http: HttpClient, question: UpstreamRequest, timeoutMs: number): Promise<HttpResult> {
  const proof = await question.prove?.()
  const { type, body } = contentOf(question, proof)
  return http({
    method: 'POST',
    url: question.url,
    headers: { ...question.headers, ...proof?.headers, 'content-type': type, accept: 'application/json' },
    body,
    timeoutMs,
    maxBytes: answerBytesMax,
  })
}

function contentOf(
  question: UpstreamRequest,
  proof: ClientProof | undefined,
): { readonly type: string; readonly body: string } {
  if ('json' in question) return { type: 'application/json', body: JSON.stringify(question.json) }
  const form = new URLSearchParams({ ...question.form, ...proof?.form })
  return { type: 'application/x-www-form-urlencoded', body: form.toString() }
}

/** After an attempt that may have taken effect; `uncertain`: and another one before it. */
function isRepeatable({ repeatable }: UpstreamRequest, uncertain: boolean): boolean {
  return repeatable === 'always' || (repeatable === 'once' && !uncertain)
}

/** A 429 comes before any work, and what was never sent did none; of every other failure nobody knows. */
function mayHaveActed(result: HttpResult): boolean {
  if (result.kind === 'failure') return result.isUnsent !== true
  return result.status !== 429 && isTransientStatus(result.status)
}

function pauseAskedFor(result: HttpResult, now: EpochSeconds): Seconds | undefined {
  if (result.kind === 'failure' || !isTransientStatus(result.status)) return undefined
  return parseRetryAfter(result.header('retry-after'), now)
}

function replyOf({ result, sentAt }: Attempt, uncertain: boolean): UpstreamReply {
  if (result.kind === 'failure') return { kind: 'failure', failure: result, uncertain }
  return { kind: 'answer', answer: result, sentAt, uncertain }
}

function notSent(reason: string, waitMs: number): UpstreamReply & { readonly kind: 'not_sent' } {
  return { kind: 'not_sent', reason, retryAfter: seconds(Math.ceil(waitMs / 1000)), uncertain: false }
}
