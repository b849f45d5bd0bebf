import { quoteError } from '../../google/api-request.ts'
import { parseAccessToken } from '../../oauth/token-response.ts'
import type { Secret } from '../../domain/secret.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { seconds, type Seconds } from '../../domain/time.ts'
import type { HttpAnswer, HttpResult } from '../../ports/http-client.ts'
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

/** What came of a request. Throws `store_unavailable` where nothing did. */
export function requireAnswer(result: HttpResult): HttpAnswer {
  if (result.kind === 'failure') throw identityError(result.detail)
  return result
}

/**
 * RFC 6749 §5.1. Throws `store_unavailable` that names `who` answered and the member that is wrong, and never its value.
 */
export function parseIdentityReply(answer: HttpAnswer, who?: string): IdentityToken {
  requireSuccess(answer, who)
  const reply = parseAccessToken(parseJsonObject(answer.body) ?? {})
  if (!reply.ok) throw identityError(`the reply has ${reply.fault}`)
  const { accessToken: token, expiresIn: lifetime } = reply.value
  if (lifetime === undefined) throw identityError('the reply has no expires_in')
  return { token, lifetime }
}

/** Throws `store_unavailable` that names `who` answered, and quotes its error. */
export function requireSuccess({ status, body }: HttpAnswer, who = 'Google'): void {
  if (status === 200) return
  throw identityError(`${who} answered ${status}${quoteError(parseJsonObject(body) ?? {})}`)
}

/** `store_unavailable` that tells the broker's own identity from a caller's credential. */
export function identityError(reason: string): BrokerError {
  const text = `the broker's own identity towards Google: ${reason}`
  return new BrokerError('store_unavailable', { reason: text, retryAfter: seconds(2) })
}
