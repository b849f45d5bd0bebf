import type { Context } from 'hono'

import { isBrokerError, requestMalformed } from '../domain/broker-error.ts'
import type { Introspection } from '../domain/introspection.ts'
import { formatScope } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import { jsonAnswer } from './json-answer.ts'
import { missing, parseForm } from './parse-form.ts'
import { readBody, textOf } from './read-body.ts'
import type { Refuse } from './refuse.ts'

export interface IntrospectionDeps {
  readonly introspect: (token: Secret) => Promise<Introspection>
  readonly entropy: Entropy
  readonly log: Log
  readonly refuse: Refuse
}

/** Google's longest are those of STS (docs/google.md §2.1). */
const tokenCharsMax = 12_288

/**
 * `POST /v1/introspect` (RFC 7662), for whoever holds the token, as gcloud does right after a login: it sends its own
 * public client's Basic header, which means nothing here. Tells nothing of rules, callers or credentials' names.
 */
export function createIntrospectionRoute(deps: IntrospectionDeps): (context: Context) => Promise<Response> {
  return async (context) => {
    const request = context.req.raw
    const requestId = deps.entropy.uuid()
    try {
      const body = await readBody(request)
      const token = parseToken(request.headers.get('content-type'), textOf(body))
      const text = introspectionText(await deps.introspect(token))
      return jsonAnswer({ status: 200, text, requestId })
    } catch (error) {
      // No decision, so no audit record: without this line nobody could find the reason by the request id.
      if (isBrokerError(error)) deps.log('warn', 'introspection refused', { requestId, error })
      return deps.refuse(error, requestId, request)
    }
  }
}

function parseToken(contentType: string | null, text: string): Secret {
  const token = parseForm({ contentType, text }).get('token') ?? missing('token')
  if (token.length > tokenCharsMax) throw requestMalformed('the token is too long')
  return new Secret(token)
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
