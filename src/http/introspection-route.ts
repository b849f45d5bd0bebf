import { isBrokerError } from '../domain/broker-error.ts'
import type { Introspection } from '../domain/introspection.ts'
import { formatScope } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import type { Log } from '../ports/log.ts'
import { createFormRoute, type FormRouteDeps } from './form-route.ts'
import { jsonAnswer } from './json-answer.ts'
import { parseForm, tokenIn } from './parse-form.ts'
import type { Refuse } from './refuse.ts'

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
