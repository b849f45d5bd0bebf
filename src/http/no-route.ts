import type { Context, Hono } from 'hono'
import { BrokerError } from '../domain/broker-error.ts'
import type { Entropy } from '../ports/entropy.ts'
import { type Act, routeMethods } from './admin-route.ts'
import { problem, withRequestId } from './answers.ts'
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
    return plainRefusal({
      status: 404,
      description: 'there is nothing at this path',
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
  return plainRefusal({ status: 405, description: 'this method is not supported here', requestId, headers })
}

interface PlainRefusal {
  readonly status: number
  readonly description: string
  readonly requestId: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A refusal before any route, in the form of the token endpoint. */
export function plainRefusal({ description, ...answer }: PlainRefusal): Response {
  const text = JSON.stringify({
    error: 'invalid_request',
    error_description: withRequestId(description, answer.requestId),
  })
  return jsonAnswer({ ...answer, text })
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
