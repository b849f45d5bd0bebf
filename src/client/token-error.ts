/**
 * Why there is no token. `refused`: the broker said no, and asking again will not help until policy or caller change.
 * `unavailable`: nobody could say, try again. `proof`: the caller's own JWT could not be had. `configuration`: what is
 * set up is wrong, and nothing was sent.
 */
export type TokenErrorCode = 'refused' | 'unavailable' | 'proof' | 'configuration'

export interface TokenErrorDetails {
  /** RFC 6749 §5.2, as the broker sent it. */
  readonly error?: string | undefined
  readonly status?: number | undefined
  /** The broker's log knows the request by it. */
  readonly requestId?: string | undefined
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/** The one error of this package. Its message contains no secret. */
export class TokenError extends Error {
  readonly code: TokenErrorCode
  readonly error: string | undefined
  readonly status: number | undefined
  readonly requestId: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: TokenErrorCode, message: string, details: TokenErrorDetails = {}) {
    super(message, { cause: details.cause })
    this.name = 'TokenError'
    this.code = code
    this.error = details.error
    this.status = details.status
    this.requestId = details.requestId
    this.retryAfterMs = details.retryAfterMs
  }
}

export function isTokenError(error: unknown): error is TokenError {
  return error instanceof TokenError
}

/** Whatever was thrown, as ours: a proof that failed in a way of its own is still a failed proof. */
export function asTokenError(error: unknown, otherwise: TokenErrorCode): TokenError {
  if (isTokenError(error)) return error
  return new TokenError(otherwise, error instanceof Error ? error.message : 'it failed', { cause: error })
}
