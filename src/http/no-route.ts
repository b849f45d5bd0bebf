import type { Context, Hono } from 'hono'
import { BrokerError } from '../domain/broker-error.ts'
import type { Entropy } from '../ports/entropy.ts'
import { type Act, routeMethods } from './admin-route.ts'
import { problem } from './answers.ts'
import { emptyAnswer, jsonAnswer } from './json-answer.ts'

export interface NoRouteDeps {
  readonly app: Hono
  readonly act: Act
  readonly entropy: Entropy
  readonly isAdminPath: (path: string) => boolean
}

/**
 * Answers what no route takes: 405 with `Allow` where another method would do, 404 elsewhere, and OPTIONS with
 * `Allow` alone. Below `/v1/admin` the form is RFC 9457, and only an admin learns that there is nothing.
 */
export function createNoRoute(deps: NoRouteDeps): (context: Context) => Response | Promise<Response> {
  return (context) => {
    const { path, method } = context.req
    const isAdmin = deps.isAdminPath(path)
    // The router itself is asked, so that there is no second table of routes.
    const allowed = routeMethods.filter((other) => deps.app.router.match(other, path)[0].length > 0)
    if (allowed.length > 0) return wrongMethod({ method, allowed, isAdmin, requestId: deps.entropy.uuid() })
    if (isAdmin) return unknownAdminPath(context, deps.act)
    return jsonAnswer({
      status: 404,
      text: '{"error":"invalid_request","error_description":"there is nothing at this path"}',
      requestId: deps.entropy.uuid(),
    })
  }
}

interface WrongMethod {
  readonly method: string
  readonly allowed: readonly string[]
  readonly isAdmin: boolean
  readonly requestId: string
}

function wrongMethod({ method, allowed, isAdmin, requestId }: WrongMethod): Response {
  const all = allowed.includes('GET') ? [...allowed, 'HEAD', 'OPTIONS'] : [...allowed, 'OPTIONS']
  const headers = { Allow: all.join(', ') }
  if (method === 'OPTIONS') return emptyAnswer({ status: 204, requestId, headers })
  if (isAdmin) return problem({ status: 405, requestId, headers })
  return jsonAnswer({
    status: 405,
    text: '{"error":"invalid_request","error_description":"this method is not supported here"}',
    requestId,
    headers,
  })
}

function unknownAdminPath(context: Context, act: Act): Promise<Response> {
  return act(context, {
    action: 'admin.unknown',
    needed: 'viewer',
    perform: () =>
      Promise.reject(new BrokerError('not_found', { reason: 'the admin API has nothing at this path' })),
    render: (result: never) => result,
  })
}
