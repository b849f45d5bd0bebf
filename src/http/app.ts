import { Hono, type Context } from 'hono'
import type { Administer } from '../administer.ts'
import type { PublishedJwk } from '../domain/jwk.ts'
import type { Exchange } from '../exchange.ts'
import type { RevokeToken } from '../revoke-token.ts'
import type { Introspection } from '../domain/token.ts'
import type { Secret } from '../domain/secret.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import { bearerIn, createAct, type Act, routeMethods } from './admin-route.ts'
import type { Readiness } from '../service/readiness.ts'
import type { SignIn } from '../sign-in/sign-in.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { addConnectPages } from './connect/connect-pages.ts'
import { createAdminAs } from './console/admin-as.ts'
import { addConsoleRoutes } from './console/console-routes.ts'
import { addAdminRoutes, type AdminRoutesDeps } from './admin-routes.ts'
import { createIntrospectionRoute, createRevocationRoute, createTokenRoute } from './oauth-routes.ts'
import { issuerPath, issuerUrl, addPublicRoutes } from './public-routes.ts'
import { addIamRoutes } from './iam-routes.ts'
import { createGoogleRefuse, createOAuthRefuse, createProblemRefuse } from './refuse.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { problem, withRequestId, emptyAnswer, jsonAnswer } from './answers.ts'

export interface AppDeps extends Omit<AdminRoutesDeps, 'act' | 'at' | 'locate'> {
  /** The broker's public URL, from the settings; never taken from a request. */
  readonly issuer: string
  readonly exchange: Exchange
  readonly exchangeForIam: Exchange
  readonly administer: Administer
  readonly revokeToken: RevokeToken
  readonly introspect: (read: () => Secret) => Promise<Introspection>
  readonly readiness: () => Promise<Readiness>
  /** The broker's own public keys; absent, it signs nothing and has no routes for them. */
  readonly publishedKeys?: readonly PublishedJwk[]
  /** Absent: nobody signs in. */
  readonly signIn?: SignIn
  readonly signInDocument?: object
  /** Seals what forms carry. */
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
  readonly entropy: Entropy
  readonly clock: Clock
  readonly log: Log
}

/**
 * The HTTP layer: bytes in, bytes out, for any runtime with Request and Response. Every answer is JSON or empty, is not
 * cached (but for public keys) and carries a request id of our own making; none is shaped by Host or by the query
 * string. There is no CORS: a browser has no business here. Routes are served below the issuer's path as well as at
 * the root, so that a proxy may strip that path or leave it.
 */
export function createApp(deps: AppDeps): Hono {
  const app = new Hono()
  const path = issuerPath(deps.issuer)
  const at = (route: string) => (path === '' ? [route] : [route, `${path}${route}`])
  const refuse = createOAuthRefuse(deps)
  const act = createAct({ ...deps, refuse: createProblemRefuse(deps), identify: bearerIn })

  const serveToken = createTokenRoute({ ...deps, refuse })
  const serveRevocation = createRevocationRoute({ ...deps, refuse })
  const serveIntrospection = createIntrospectionRoute({ ...deps, refuse })
  app.on('POST', at('/v1/token'), ({ req }) => serveToken(req.raw))
  app.on('POST', at('/v1/revoke'), ({ req }) => serveRevocation(req.raw))
  app.on('POST', at('/v1/introspect'), ({ req }) => serveIntrospection(req.raw))
  addIamRoutes(app, { ...deps, at, refuse: createGoogleRefuse(deps) })
  const locate = (route: string) => issuerUrl(deps.issuer, route)
  addAdminRoutes(app, { ...deps, act, at, locate })
  const admin = createAdminAs({ ...deps, refuse: createProblemRefuse(deps), locate })
  addConsoleRoutes(app, { ...deps, at, path, admin })
  addConnectPages(app, { ...deps, at, path })
  addPublicRoutes(app, { ...deps, at, path, refuse })

  const isAdminPath = (route: string) => at('/v1/admin').some((base) => `${route}/`.startsWith(`${base}/`))
  app.notFound(createNoRoute({ app, act, entropy: deps.entropy, isAdminPath }))
  app.onError((error, context) => refuse(error, deps.entropy.uuid(), context.req.raw))
  refuseUnclearPaths(app, deps.entropy)
  return app
}

/** Before any route is looked for: what a proxy in front of the broker has read must be what is served. */
function refuseUnclearPaths(app: Hono, entropy: Entropy): void {
  const { fetch } = app
  app.fetch = (request, message, ...rest) => {
    const fault = pathFault(sentTarget(message) ?? targetIn(request.url))
    if (fault === undefined) return fetch(request, message, ...rest)
    return plainRefusal({ status: 400, description: fault, requestId: entropy.uuid() })
  }
}

/** As node:http received it; a Request has a URL, in which `..` is resolved already. */
function sentTarget(message: unknown): string | undefined {
  if (typeof message !== 'object' || message === null || !('incoming' in message)) return undefined
  const { incoming } = message
  if (typeof incoming !== 'object' || incoming === null || !('url' in incoming)) return undefined
  return typeof incoming.url === 'string' ? incoming.url : undefined
}

/**
 * What is wrong with the path of a request target, as it was sent; `undefined` when it has the one spelling that a
 * proxy's rule on the raw path would see too. Refused are the absolute form (RFC 9112 §3.2.2), escapes of characters
 * that need none (RFC 3986 §2.3), broken escapes, and empty, `.` and `..` segments. A slash at the end is another path.
 */
function pathFault(target: string): string | undefined {
  const end = target.search(/[?#]/)
  const path = end === -1 ? target : target.slice(0, end)
  if (!path.startsWith('/')) return 'the request target must begin with /'
  if (path.includes('\\')) return 'the path must have no backslash'
  if (path.includes('//') || dotSegment.test(path)) return 'the path must have no empty, . or .. segment'
  if (unreservedEscaped.test(path)) return 'the path must escape no character that needs none'
  return brokenEscape.test(path) ? 'the path has a broken escape' : undefined
}

const dotSegment = /\/\.{1,2}(?:\/|$)/
/** Of a letter, a digit, or one of - . _ ~ */
const unreservedEscaped = /%(?:2d|2e|5f|7e|3\d|4[1-9a-f]|5[\da]|6[1-9a-f]|7[\da])/i
const brokenEscape = /%(?![\da-f]{2})/i

/** The path and query of an absolute URL, as they are written there. */
function targetIn(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return start === -1 ? '/' : url.slice(start)
}

interface NoRouteDeps {
  readonly app: Hono
  readonly act: Act
  readonly entropy: Entropy
  readonly isAdminPath: (path: string) => boolean
}

/**
 * Answers what no route takes: 405 with `Allow` where another method would do, 404 elsewhere, and OPTIONS with
 * `Allow` alone. Below `/v1/admin` the form is RFC 9457, and only an admin learns that there is nothing.
 */
function createNoRoute(deps: NoRouteDeps): (context: Context) => Response | Promise<Response> {
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
function plainRefusal({ description, ...answer }: PlainRefusal): Response {
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
