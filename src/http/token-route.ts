import type { Exchange } from '../exchange.ts'
import { createFormRoute, type FormRouteDeps } from './form-route.ts'
import { parseTokenRequest } from './parse-token-request.ts'
import { tokenResponse } from './token-response.ts'

export interface TokenRouteDeps extends FormRouteDeps {
  readonly exchange: Exchange
}

/** `POST /v1/token` (RFC 8693, RFC 7523), the hot path: no middleware, and headers given at construction. */
export function createTokenRoute(deps: TokenRouteDeps): (request: Request) => Promise<Response> {
  return createFormRoute(deps, {
    perform: (read, requestId) => deps.exchange({ requestId, parse: () => parseTokenRequest(read()) }),
    answer: tokenResponse,
  })
}
