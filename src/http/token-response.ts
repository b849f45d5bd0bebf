import { formatScope } from '../domain/scopes.ts'
import type { MintedToken } from '../domain/token.ts'
import type { ExchangeOutcome } from '../exchange.ts'
import { jsonAnswer } from './json-answer.ts'
import { tokenTypeUrns } from './token-type-urns.ts'

/**
 * RFC 8693 §2.2.1, for both grants: the four members that every client library needs, and the scopes the token
 * really carries. A token is labelled by what it is, not by what was asked (P13). Throws on a token without life
 * left: to hand one out is a bug.
 */
export function createTokenResponse(): (outcome: ExchangeOutcome, requestId: string) => Response {
  // The same token is given out again and again; it is gone from here when it is gone from everywhere.
  const replies = new WeakMap<MintedToken, Reply>()

  return ({ resolved }, requestId) => {
    const { token, remaining } = resolved
    const expiresIn = Math.floor(remaining)
    if (!(expiresIn > 0)) throw new RangeError('a token without remaining life reached the hall')
    let reply = replies.get(token)
    if (reply === undefined) {
      reply = replyOf(token)
      replies.set(token, reply)
    }
    return jsonAnswer({ status: 200, text: reply.beforeLife + expiresIn + reply.afterLife, requestId })
  }
}

/** A token's reply but for `expires_in`, as JSON. */
interface Reply {
  readonly beforeLife: string
  readonly afterLife: string
}

function replyOf({ secret, tokenType, scopes }: MintedToken): Reply {
  const members = JSON.stringify({
    access_token: secret.reveal(),
    issued_token_type: tokenTypeUrns[tokenType],
    token_type: tokenType === 'access_token' ? 'Bearer' : 'N_A',
  })
  // ID tokens and API keys carry none, and an empty scope is no scope (RFC 6749 §3.3).
  const scope = scopes.length === 0 ? '' : `,"scope":${JSON.stringify(formatScope(scopes))}`
  return { beforeLife: `${members.slice(0, -1)},"expires_in":`, afterLife: `${scope}}` }
}
