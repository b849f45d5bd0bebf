import type { Exchange, ExchangeOutcome } from '../exchange.ts'
import { parseTokenRequest, parseCallerProof, tokenTypeUrns } from './parse-token-request.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import type { Introspection } from '../domain/token.ts'
import { formatScope } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import type { Log } from '../ports/log.ts'
import { jsonAnswer, emptyAnswer } from './answers.ts'
import { parseForm, tokenIn, type FormMessage, readBody, textOf } from './parse-form.ts'
import type { Refuse } from './refuse.ts'
import type { RevocationRequest, RevokeToken } from '../revoke-token.ts'
import type { Entropy } from '../ports/entropy.ts'

export interface TokenRouteDeps extends FormRouteDeps {
  readonly exchange: Exchange
}

/** `POST /v1/token` (RFC 8693, RFC 7523), the hot path: no middleware, and headers given at construction. */
export function createTokenRoute(deps: TokenRouteDeps): (request: Request) => Promise<Response> {
  return createFormRoute(deps, {
    perform: (read, requestId, { headers }) =>
      deps.exchange({
        requestId,
        parse: () => parseTokenRequest(read()),
        traceparent: () => headers.get('traceparent'),
      }),
    answer: tokenResponse,
  })
}

export interface IntrospectionDeps extends FormRouteDeps {
  readonly introspect: (read: () => Secret) => Promise<Introspection>
  readonly log: Log
}

/**
 * `POST /v1/introspect` (RFC 7662), for whoever holds the token, as gcloud does right after a login: it sends its own
 * public client's Basic header, which means nothing here. Tells nothing of rules, callers or credentials' names.
 */
export function createIntrospectionRoute(deps: IntrospectionDeps): (request: Request) => Promise<Response> {
  const { introspect, entropy, log } = deps
  const refuse: Refuse = (error, requestId, request) => {
    // No decision, so no audit record: without this line nobody could find the reason by the request id.
    if (isBrokerError(error)) log('warn', 'introspection refused', { requestId, error })
    return deps.refuse(error, requestId, request)
  }
  return createFormRoute(
    { entropy, refuse },
    {
      perform: (read) => introspect(() => tokenIn(parseForm(read()))),
      answer: (introspection, requestId) =>
        jsonAnswer({ status: 200, text: introspectionText(introspection), requestId }),
    },
  )
}

/** RFC 7662 §2.2; `username` is what gcloud takes for the name of the account. */
function introspectionText(introspection: Introspection): string {
  if (!introspection.isActive) return '{"active":false}'
  const { username, scopes, issuedAt, expiresAt } = introspection
  // An ID token alone carries no scope; it is no Bearer token (P13), and an empty scope is none (RFC 6749 §3.3).
  const isIdToken = scopes.length === 0
  return JSON.stringify({
    active: true,
    username,
    scope: isIdToken ? undefined : formatScope(scopes),
    token_type: isIdToken ? 'N_A' : 'Bearer',
    iat: issuedAt,
    exp: expiresAt,
  })
}

export interface RevocationRouteDeps extends FormRouteDeps {
  readonly revokeToken: RevokeToken
}

/**
 * `POST /v1/revoke` (RFC 7009), for callers, who prove themselves as at the token endpoint. A token that is unknown is
 * as good as revoked (§2.2), and the hint at its type is of no use here.
 */
export function createRevocationRoute(deps: RevocationRouteDeps): (request: Request) => Promise<Response> {
  return createFormRoute(deps, {
    perform: (read, requestId) => deps.revokeToken({ requestId, parse: () => parseRevocation(read()) }),
    answer: (_, requestId) => emptyAnswer({ status: 200, requestId }),
  })
}

function parseRevocation(message: FormMessage): RevocationRequest {
  const form = parseForm(message)
  const token = tokenIn(form)
  return { proof: parseCallerProof(form), token }
}

export interface FormRouteDeps {
  readonly entropy: Entropy
  readonly refuse: Refuse
}

/** What is done with a form, and how the result is shown: two steps, so that the hot path needs no third promise. */
export interface FormRoute<Result> {
  /**
   * `read` throws what the body fails at. It is called where that is judged: the pipeline leaves a record of such a
   * decision too (P27).
   */
  readonly perform: (read: () => FormMessage, requestId: string, request: Request) => Promise<Result>
  readonly answer: (result: Result, requestId: string) => Response
}

/** Serves what a form is posted to, whatever happens: one body read, one answer. */
function createFormRoute<Result>(
  { entropy, refuse }: FormRouteDeps,
  { perform, answer }: FormRoute<Result>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const requestId = entropy.uuid()
    try {
      const body = await readBody(request)
      const contentType = request.headers.get('content-type')
      const read = () => ({ contentType, text: textOf(body) })
      return answer(await perform(read, requestId, request), requestId)
    } catch (error) {
      return refuse(error, requestId, request)
    }
  }
}

/**
 * RFC 8693 §2.2.1, for both grants: the four members that every client library needs, and the scopes the token
 * really carries. A token is labelled by what it is, not by what was asked (P13). Throws on a token without life
 * left: to hand one out is a bug.
 */
function tokenResponse({ resolved }: ExchangeOutcome, requestId: string): Response {
  const { token, remaining } = resolved
  const expiresIn = Math.floor(remaining)
  const { tokenType } = token
  if (!(expiresIn > 0) || tokenType === 'signature')
    throw new RangeError('no token, or one without remaining life, reached the HTTP layer')
  const text = JSON.stringify({
    access_token: token.secret.reveal(),
    issued_token_type: tokenTypeUrns[tokenType],
    token_type: tokenType === 'access_token' ? 'Bearer' : 'N_A',
    expires_in: expiresIn,
    // ID tokens and API keys carry none, and an empty scope is no scope (RFC 6749 §3.3).
    scope: token.scopes.length === 0 ? undefined : formatScope(token.scopes),
  })
  return jsonAnswer({ status: 200, text, requestId })
}
