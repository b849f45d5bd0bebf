import type { Context } from 'hono'
import type { AdminFacts, AuditAction } from '../domain/audit-record.ts'
import type { Caller } from '../domain/caller.ts'
import type { NeededRole } from '../domain/policy.ts'
import {
  noBody,
  noQuery,
  parseIfMatch,
  render,
  type AnswerOf,
  type Reply,
  type BodyOf,
  type QueryOf,
  parseBearer,
  storedNamePattern,
} from './route-schemas.ts'
import { readBody } from './parse-form.ts'
import type { AdminContext, Administer } from '../administer.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Refuse } from './refuse.ts'

/**
 * One route of the admin API as data: what Hono serves, what is checked before anything is done, and what
 * `GET /openapi.json` says about it. The table is in `admin-routes.ts`.
 */
export interface AdminRoute<Query, Body, Document> {
  /** Method and path, in OpenAPI's notation: `POST /v1/admin/credentials/{name}:disable`. */
  readonly at: `${RouteMethod} /v1/admin/${string}`
  /** What it does, for people: one sentence without a full stop. */
  readonly summary: string
  /** The least role that may. */
  readonly needs: NeededRole
  readonly action: AuditAction
  readonly query: QueryOf<Query>
  readonly body: BodyOf<Body>
  readonly answer: AnswerOf<Document>
  /** Whether `If-Match` counts. */
  readonly ifMatch?: true
  /** What the audit record says it is about, beyond the path's `{name}` and `{version}`. */
  readonly aboutOf?: (body: Body) => AdminFacts
}

/** A request that passed its route's checks, of a caller with the needed role. */
export interface AdminCall<Query, Body> {
  readonly caller: Caller
  /** What the path has in place of `{name}`. */
  readonly param: (name: string) => string
  readonly query: Query
  readonly body: Body
  /** The revision that `If-Match` names. */
  readonly ifMatch: string | undefined
  /** Puts into the audit record what is known only now. */
  readonly note: (facts: AdminFacts) => void
}

/** A route with what it does. */
export interface ServedRoute {
  readonly at: string
  readonly serve: (act: Act, context: Context) => Promise<Response>
}

type Described<Query, Body, Document> = Omit<AdminRoute<Query, Body, Document>, 'query' | 'body'> &
  Partial<Pick<AdminRoute<Query, Body, Document>, 'query' | 'body'>>

/** A route; one that names no query or body reads none. */
export function adminRoute<Query = undefined, Body = undefined, Document = undefined>(
  route: Described<Query, Body, Document>,
): AdminRoute<Query, Body, Document> {
  // What is not named is not inferred either, and so `undefined`, as these read it.
  return { query: noQuery as QueryOf<Query>, body: noBody as BodyOf<Body>, ...route }
}

/**
 * Joins a route with what it does: `perform` runs after authentication, the role check and all parsing. No work is done
 * on the body of a stranger.
 */
export function served<Query, Body, Document>(
  route: AdminRoute<Query, Body, Document>,
  perform: (call: AdminCall<Query, Body>) => Promise<Reply<NoInfer<Document>>>,
): ServedRoute {
  const serve = async (act: Act, context: Context): Promise<Response> => {
    const { raw, url } = context.req
    const param = (name: string) => pathParameter(context.req.param(name), name)
    let reading: Promise<Body> | undefined
    const readOnce = () => (reading ??= bodyIn(raw, route.body))
    const { aboutOf } = route
    return act(context, {
      action: route.action,
      needed: route.needs,
      about: {
        ...(route.at.includes('{name}') && { credential: param('name') }),
        ...(route.at.includes('{version}') && { credentialVersion: param('version') }),
      },
      // What is wrong with the body is thrown where refusals are judged.
      ...(aboutOf !== undefined && { aboutBody: () => readOnce().then(aboutOf, () => ({})) }),
      perform: async (caller, note) => {
        const body = await readOnce()
        const ifMatch = route.ifMatch === undefined ? undefined : parseIfMatch(raw.headers.get('if-match'))
        return perform({ caller, param, query: route.query.parse(url), body, ifMatch, note })
      },
      render: (reply, requestId) => render(route.answer, reply, requestId),
    })
  }
  return { at: route.at, serve }
}

async function bodyIn<Body>(request: Request, { isNone, bytesMax, parse }: BodyOf<Body>): Promise<Body> {
  const body = isNone ? ({ kind: 'text', text: '' } as const) : await readBody(request, bytesMax)
  return parse({ contentType: request.headers.get('content-type'), body })
}

/** One route of the admin API: what the pipeline receives, and how the result is shown. */
export interface Action<T> extends Omit<AdminContext<T>, 'requestId' | keyof Identity> {
  readonly render: (result: T, requestId: string) => Response
}

/** Walks an admin request through the pipeline and answers it, whatever happens. */
export type Act = <T>(context: Context, action: Action<T>) => Promise<Response>

type Identity = Pick<AdminContext<unknown>, 'bearer' | 'person'>

/** By the header `Authorization`. */
export function bearerIn({ headers }: Request): Identity {
  return { bearer: parseBearer(headers.get('authorization')) }
}

export interface ActDeps {
  readonly administer: Administer
  readonly entropy: Entropy
  readonly refuse: Refuse
  /** What says who asks. */
  readonly identify: (request: Request) => Identity
}

export function createAct({ administer, entropy, refuse, identify }: ActDeps): Act {
  return async (context, { render, ...action }) => {
    const request = context.req.raw
    const requestId = entropy.uuid()
    try {
      return render(await administer({ ...action, ...identify(request), requestId }), requestId)
    } catch (error) {
      return refuse(error, requestId, request)
    }
  }
}

/**
 * The router's pattern of a path template: `/v1/admin/credentials/{name}:disable` has the verb in its last segment, and
 * the router knows only whole segments, so that a parameter takes the verb along.
 */
export function routePattern(template: string): string {
  return template.replaceAll(
    /\{(?<name>\w+)\}(?<verb>:\w+)?/g,
    (_, name: string, verb: string | undefined) => `:${name}{${storedNamePattern}${verb ?? ''}}`,
  )
}

/** A parameter without the verb. Throws TypeError for one that the template does not have. */
function pathParameter(value: string | undefined, name: string): string {
  if (value === undefined) throw new TypeError(`the path has no {${name}}`)
  const colon = value.indexOf(':')
  return colon === -1 ? value : value.slice(0, colon)
}

/** Every method that some route takes; HEAD and OPTIONS come by themselves. */
export const routeMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

export type RouteMethod = (typeof routeMethods)[number]
