import { Secret } from '../../domain/secret.ts'
import { parseJsonObject, type Members } from '../../domain/json.ts'
import { seconds, type Seconds } from '../../domain/time.ts'
import type { HttpAnswer, HttpClient, HttpRequest, HttpResult } from '../../ports/http-client.ts'
import { BrokerError } from '../../domain/broker-error.ts'

/**
 * What Google is asked of who the broker is; nothing is kept. Each question settles within two seconds and throws
 * `store_unavailable`, or `target_unavailable` for what such an identity can never give.
 */
export interface IdentitySource {
  readonly accessToken: (scopes: readonly string[]) => Promise<IdentityToken>
  /** Of Google for that audience; not judged. */
  readonly idToken: (audience: string) => Promise<Secret>
  /** The e-mail address of the service account. */
  readonly serviceAccount: () => Promise<string>
  /** Whether a token has the asked scopes and no others, wherever this runs. */
  readonly respectsScopes: boolean
}

export interface IdentityToken {
  readonly token: Secret
  readonly lifetime: Seconds
}

export type IdentityRequest = Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>

/** Both attempts together settle within two seconds. */
const attemptTimeoutMs = 1000
const answerBytesMax = 64 * 1024
/** Google gives an hour, and twelve by exception. */
const lifetimeMax = 86_400

/** Asks, and once more at once after passing trouble: both requests may come twice. Throws `store_unavailable`. */
export async function askForToken(http: HttpClient, request: IdentityRequest): Promise<HttpAnswer> {
  const ask = (): Promise<HttpResult> =>
    http({ ...request, timeoutMs: attemptTimeoutMs, maxBytes: answerBytesMax })
  const first = await ask()
  const result = isPassing(first) ? await ask() : first
  if (result.kind === 'failure') throw identityError(result.detail)
  return result
}

/**
 * RFC 6749 §5.1, every member by name. Throws `store_unavailable` that names `who` answered and the member, and never
 * its value.
 */
export function parseIdentityReply(answer: HttpAnswer, who?: string): IdentityToken {
  requireSuccess(answer, who)
  const { access_token: token, token_type: type, expires_in: lifetime } = parseJsonObject(answer.body) ?? {}
  if (!isToken(token)) throw identityError('the reply has no usable access_token')
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    throw identityError('the reply has a token_type other than Bearer')
  if (typeof lifetime !== 'number' || !(lifetime >= 1 && lifetime <= lifetimeMax))
    throw identityError(`the reply has no expires_in from 1 to ${lifetimeMax}`)
  return { token: new Secret(token), lifetime: seconds(Math.floor(lifetime)) }
}

/** Throws `store_unavailable` that names `who` answered, and quotes its error. */
export function requireSuccess({ status, body }: HttpAnswer, who = 'Google'): void {
  if (status === 200) return
  throw identityError(`${who} answered ${status}${quoteError(parseJsonObject(body) ?? {})}`)
}

/** What can be sent in a header, of the size that Google's tokens have. */
export function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7E]{1,12288}$/.test(value)
}

/** In brackets after a space, or nothing; without anything that may be a piece of a token. */
export function quoteError({ error, error_description: description }: Members): string {
  const words = [error, description].filter((word) => typeof word === 'string').join(': ')
  const harmless = words.replace(/[\w+/=.-]{24,}/g, '[cut]').replace(/[^\x20-\x7E]+/g, ' ')
  return harmless === '' ? '' : ` (${harmless.slice(0, 160)})`
}

function isPassing(result: HttpResult): boolean {
  if (result.kind === 'failure') return result.cause === 'network' || result.cause === 'timeout'
  return result.status >= 500
}

/** `store_unavailable` that tells the broker's own identity from a caller's credential. */
export function identityError(reason: string): BrokerError {
  const text = `the broker's own identity towards Google: ${reason}`
  return new BrokerError('store_unavailable', { reason: text, retryAfter: seconds(2) })
}
