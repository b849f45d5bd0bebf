import { formatScope } from '../domain/scopes.ts'
import type { ExchangeOutcome } from '../exchange.ts'
import { jsonAnswer } from './json-answer.ts'
import { tokenTypeUrns } from './token-type-urns.ts'

/**
 * RFC 8693 §2.2.1, for both grants: the four members that every client library needs, and the scopes the token
 * really carries. A token is labelled by what it is, not by what was asked (P13). Throws on a token without life
 * left: to hand one out is a bug.
 */
export function tokenResponse({ resolved }: ExchangeOutcome, requestId: string): Response {
  const { token, remaining } = resolved
  const expiresIn = Math.floor(remaining)
  if (!(expiresIn > 0)) throw new RangeError('a token without remaining life reached the hall')
  const text = JSON.stringify({
    access_token: token.secret.reveal(),
    issued_token_type: tokenTypeUrns[token.tokenType],
    token_type: token.tokenType === 'access_token' ? 'Bearer' : 'N_A',
    expires_in: expiresIn,
    // ID tokens and API keys carry none, and an empty scope is no scope (RFC 6749 §3.3).
    scope: token.scopes.length === 0 ? undefined : formatScope(token.scopes),
  })
  return jsonAnswer({ status: 200, text, requestId })
}
