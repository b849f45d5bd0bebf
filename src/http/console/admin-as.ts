import { Hono } from 'hono'
import * as z from 'zod/mini'
import type { Administer } from '../../administer.ts'
import type { Caller } from '../../domain/caller.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'
import { later, seconds, type EpochSeconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import { createAct } from '../admin-route.ts'
import { addAdminRoutes, type AdminRoutesDeps } from '../admin-routes.ts'
import type { Refuse } from '../refuse.ts'

export interface AdminRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Below `/v1/admin/`. */
  readonly path: string
  readonly body?: object
  /** A policy, in place of `body`. */
  readonly yaml?: string
  readonly ifMatch?: string | undefined
}

export interface AdminReply<T> {
  readonly value: T
  /** As `ifMatch` wants it. */
  readonly etag: string | undefined
}

/** What the admin API did not do, in its own words. */
export class AdminApiError extends Error {
  readonly status: number
  readonly code: string
  readonly detail: string

  constructor({ status, code, detail }: Pick<AdminApiError, 'status' | 'code' | 'detail'>) {
    super(`${status} ${code}`)
    this.name = 'AdminApiError'
    this.status = status
    this.code = code
    this.detail = detail
  }
}

/** A refusal of what somebody typed, to be shown beside it; anything else has a page of its own. */
export function isAboutInput(error: unknown): error is AdminApiError {
  return error instanceof AdminApiError && error.status < 500 && error.status !== 403
}

/** The admin API as one person: `T` is what the route shows. Throws `AdminApiError`. */
export type Ask = <T extends object>(request: AdminRequest) => Promise<AdminReply<T>>

export interface AdminAs {
  readonly asker: (caller: Caller) => Ask
  /** When an answer of it was good last. */
  readonly lastGoodAt: () => EpochSeconds | undefined
}

export interface AdminAsDeps extends Omit<AdminRoutesDeps, 'act' | 'at'> {
  readonly administer: Administer
  readonly refuse: Refuse
  readonly entropy: Entropy
  readonly clock: Pick<Clock, 'now'>
}

const problemAnswer = z.object({
  code: z.optional(z.string()),
  detail: z.optional(z.string()),
  title: z.optional(z.string()),
})

/**
 * What pages do goes through the routes of the admin API in this process, as the person who signed in: the same roles,
 * guards, `If-Match` and audit records, and nothing that only a page could do.
 */
export function createAdminAs(deps: AdminAsDeps): AdminAs {
  const { clock } = deps
  const callers = new WeakMap<Request, Caller>()
  const app = new Hono()
  const act = createAct({
    ...deps,
    identify: (request) => ({ bearer: undefined, ...omitUndefined({ person: callers.get(request) }) }),
  })
  addAdminRoutes(app, { ...deps, act, at: (route) => [route] })
  let lastGoodAt: EpochSeconds | undefined

  return {
    lastGoodAt: () => lastGoodAt,
    asker:
      (caller) =>
      async <T extends object>(asked: AdminRequest): Promise<AdminReply<T>> => {
        const request = requestOf(asked)
        callers.set(request, ofNow(caller, clock.now()))
        const response = await app.fetch(request)
        const text = await response.text()
        const document: unknown = text === '' ? {} : JSON.parse(text)
        if (!response.ok) throw refusalOf(response.status, document)
        lastGoodAt = clock.now()
        // Written a moment ago by the routes of this process: a schema would check nothing, and costs a Worker its start.
        return { value: document as T, etag: response.headers.get('etag') ?? undefined }
      },
  }
}

/** An ID token ends long before a session: what it said of its own time must lock nobody out. */
function ofNow(caller: Caller, now: EpochSeconds): Caller {
  return { ...caller, claims: { ...caller.claims, iat: now, exp: later(now, seconds(60)) } }
}

function requestOf({ method, path, body, yaml, ifMatch }: AdminRequest): Request {
  const headers = new Headers()
  if (ifMatch !== undefined) headers.set('if-match', ifMatch)
  if (body !== undefined) headers.set('content-type', 'application/json')
  if (yaml !== undefined) headers.set('content-type', 'application/yaml')
  const text = yaml ?? (body === undefined ? null : JSON.stringify(body))
  return new Request(`https://console.invalid/v1/admin/${path}`, { method, headers, body: text })
}

function refusalOf(status: number, document: unknown): AdminApiError {
  const parsed = problemAnswer.safeParse(document)
  const { code, detail, title } = parsed.success ? parsed.data : {}
  return new AdminApiError({
    status,
    code: code ?? 'bug',
    detail: detail ?? title ?? 'nothing more is known',
  })
}
