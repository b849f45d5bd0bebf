import type { Context } from 'hono'

import { requestMalformed } from '../domain/broker-error.ts'
import { Secret } from '../domain/secret.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { RevocationRequest, RevokeToken } from '../revoke-token.ts'
import { emptyAnswer } from './json-answer.ts'
import { missing, parseForm, type FormMessage } from './parse-form.ts'
import { parseCallerProof } from './parse-token-request.ts'
import { readBody, textOf } from './read-body.ts'
import type { Refuse } from './refuse.ts'

export interface RevocationRouteDeps {
  readonly revokeToken: RevokeToken
  readonly entropy: Entropy
  readonly refuse: Refuse
}

/** Google's longest are those of STS (docs/google.md §2.1). */
const tokenCharsMax = 12_288

/**
 * `POST /v1/revoke` (RFC 7009), for callers, who prove themselves as at the token endpoint. A token that is unknown is
 * as good as revoked (§2.2), and the hint at its type is of no use here.
 */
export function createRevocationRoute(deps: RevocationRouteDeps): (context: Context) => Promise<Response> {
  return async (context) => {
    const request = context.req.raw
    const requestId = deps.entropy.uuid()
    try {
      const body = await readBody(request)
      const contentType = request.headers.get('content-type')
      await deps.revokeToken({ requestId, parse: () => parseRevocation({ contentType, text: textOf(body) }) })
      return emptyAnswer({ status: 200, requestId })
    } catch (error) {
      return deps.refuse(error, requestId, request)
    }
  }
}

function parseRevocation(message: FormMessage): RevocationRequest {
  const form = parseForm(message)
  const token = form.get('token') ?? missing('token')
  if (token.length > tokenCharsMax) throw requestMalformed('the token is too long')
  return { proof: parseCallerProof(form), token: new Secret(token) }
}
