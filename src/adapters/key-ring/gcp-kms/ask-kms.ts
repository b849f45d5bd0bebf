import { isBrokerError, type BrokerError } from '../../../domain/broker-error.ts'
import { isMembers, parseJsonObject, type Members } from '../../../domain/json-object.ts'
import { parseRetryAfter } from '../../../domain/retry-after.ts'
import type { Secret } from '../../../domain/secret.ts'
import { seconds, type EpochSeconds } from '../../../domain/time.ts'
import type { Clock } from '../../../ports/clock.ts'
import type { HttpAnswer, HttpClient, HttpResult } from '../../../ports/http-client.ts'
import { quoteError } from '../../google-identity/identity-reply.ts'
import { keyRingError } from '../key-ring-error.ts'

export interface AskKmsDeps {
  /** `projects/P/locations/L/keyRings/R/cryptoKeys/K` */
  readonly cryptoKey: string
  /** What comes before `/v1/…`. */
  readonly kmsUrl: string
  /**
   * A token for Cloud KMS. Settles within two seconds; throws `store_unavailable`. `refused`: the one that was
   * answered with 401; the same again means that there is no other.
   */
  readonly accessToken: (refused?: Secret) => Promise<Secret>
  readonly http: HttpClient
  readonly clock: Clock
}

export interface KmsCall<T> {
  readonly method: 'encrypt' | 'decrypt'
  readonly body: Readonly<Record<string, string>>
  /** What the answer says, or what is wrong with it, without a word of it. */
  readonly read: (answer: Members) => Reading<T>
}

export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: string }

/** A refusal was said by Cloud KMS; anything else may pass, and says nothing against a key that was had before. */
export type KmsReply<T> = { readonly ok: true; readonly value: T } | KmsTrouble

export interface KmsTrouble {
  readonly ok: false
  readonly isRefusal: boolean
  readonly error: BrokerError
}

export type AskKms = <T>(call: KmsCall<T>) => Promise<KmsReply<T>>

/** For the token and all attempts together: sealing and opening are part of a mint, which has five seconds. */
const budgetMs = 2000
const attemptMs = 1000
/** Less is no attempt. */
const attemptMsMin = 50
/** An answer has some hundred bytes. */
const answerBytesMax = 64 * 1024

/**
 * One call of Cloud KMS's REST API (v1), settled within about two seconds. Both methods may be repeated: it is asked
 * once more at once after passing trouble, and after an answer that came damaged, as Google advises.
 */
export function createAskKms({ cryptoKey, kmsUrl, accessToken, http, clock }: AskKmsDeps): AskKms {
  return async ({ method, body, read }) => {
    const what = `${method} with ${cryptoKey}`
    const endMs = clock.steadyMs() + budgetMs
    try {
      let token = await accessToken()
      for (let isLast = false; ; isLast = true) {
        const leftMs = Math.floor(endMs - clock.steadyMs())
        if (leftMs < attemptMsMin) return passing(`${what}: what came before took all of ${budgetMs} ms`)
        const result = await http({
          method: 'POST',
          url: `${kmsUrl}/v1/${cryptoKey}:${method}`,
          headers: {
            authorization: `Bearer ${token.reveal()}`,
            'content-type': 'application/json',
            accept: 'application/json',
          },
          body: JSON.stringify(body),
          timeoutMs: Math.min(attemptMs, leftMs),
          maxBytes: answerBytesMax,
        })
        const reply = judge(result, { what, read, now: clock.now() })
        if (reply.ok || isLast) return reply
        if (result.kind === 'answer' && result.status === 401) {
          const next = await accessToken(token)
          if (next.reveal() === token.reveal()) return reply
          token = next
        } else if (reply.isRefusal || wantsWait(result)) return reply
      }
    } catch (error) {
      // The broker's own identity could not be had.
      if (!isBrokerError(error)) throw error
      return passing(`${what}: ${error.reason}`, error.retryAfter)
    }
  }
}

interface Expected<T> {
  readonly what: string
  readonly read: KmsCall<T>['read']
  readonly now: EpochSeconds
}

function judge<T>(result: HttpResult, { what, read, now }: Expected<T>): KmsReply<T> {
  if (result.kind === 'failure') return passing(`${what}: ${result.detail}`)
  const { status, header } = result
  if (status === 200) {
    const reading = read(parseJsonObject(result.body) ?? {})
    return reading.ok ? reading : passing(`${what}: the answer ${reading.fault}`)
  }
  const reason = `${what}: Cloud KMS answered ${describe(result)}`
  if (isRefusal(result)) return { ok: false, isRefusal: true, error: keyRingError(reason) }
  return passing(reason, parseRetryAfter(header('retry-after'), now))
}

/** A quota is per minute: to ask again at once would only use up more of it. */
function wantsWait(result: HttpResult): boolean {
  return result.kind === 'answer' && (result.status === 429 || result.header('retry-after') !== undefined)
}

/** What came damaged is refused by its checksum, and may come whole the next time. */
function isRefusal({ status, body }: HttpAnswer): boolean {
  const { message } = errorIn(body)
  const isDamaged = typeof message === 'string' && message.startsWith('The checksum in field ')
  return status >= 400 && status < 500 && status !== 408 && status !== 429 && !isDamaged
}

/** By then it is asked again. */
const retryAfterTrouble = seconds(2)

function passing(reason: string, retryAfter = retryAfterTrouble): KmsTrouble {
  return { ok: false, isRefusal: false, error: keyRingError(reason, { retryAfter }) }
}

/** Long words are cut: a proxy's error may repeat what was sent (P23). */
function describe({ status, body }: HttpAnswer): string {
  const { status: word, message } = errorIn(body)
  const hint = typeof word === 'string' ? (hints.get(word) ?? '') : ''
  return `${status}${quoteError({ error: word, error_description: message })}${hint}`
}

/** Google's JSON services nest their error. */
function errorIn(body: string): Members {
  const { error } = parseJsonObject(body) ?? {}
  return isMembers(error) ? error : {}
}

const hints: ReadonlyMap<string, string> = new Map([
  [
    'PERMISSION_DENIED',
    "; the broker's identity needs roles/cloudkms.cryptoKeyEncrypterDecrypter on that key",
  ],
  ['FAILED_PRECONDITION', '; the version of the key is disabled or destroyed, or the API is not enabled'],
  ['INVALID_ARGUMENT', '; another key wrapped it, or it was changed'],
])
