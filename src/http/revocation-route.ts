import type { RevocationRequest, RevokeToken } from '../revoke-token.ts'
import { createFormRoute, type FormRouteDeps } from './form-route.ts'
import { emptyAnswer } from './json-answer.ts'
import { parseForm, tokenIn, type FormMessage } from './parse-form.ts'
import { parseCallerProof } from './parse-token-request.ts'

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
