import { isBrokerError } from '../domain/broker-error.ts'
import { answers } from '../http/answers.ts'
import type { HttpResult } from '../ports/http-client.ts'
import type { Tracer } from '../ports/tracer.ts'
import type { Settings } from '../config.ts'
import type { CallName } from './name-call.ts'
import { unmeasured, type Measures } from './measure.ts'

export interface TracesDeps {
  readonly tracer: Tracer
  readonly nameCall: (url: string) => CallName
  readonly store: Settings['store']
}

/**
 * Wraps what the broker is put together from in spans, one for each step that DESIGN names and one for each call of an
 * upstream or the store. Attributes are by OpenTelemetry's semantic conventions where there are any; addresses of
 * calls are not among them, for they may hold names and queries (T33).
 */
export function createTraces({ tracer, nameCall, store: place }: TracesDeps): Measures {
  const step = <T>(name: string, work: () => Promise<T>): Promise<T> =>
    tracer.span({ name, kind: 'internal', attributes: {} }, work)
  return {
    ...unmeasured,
    log: (log) => (level, message, fields) => {
      const id = tracer.traceId()
      log(level, message, id === undefined ? fields : { ...fields, trace_id: id })
    },
    http: (http) => (request) => {
      const { upstream, operation } = nameCall(request.url)
      const url = URL.parse(request.url)
      const attributes = {
        'http.request.method': request.method,
        'server.address': url?.hostname ?? '',
        'downscope.upstream': upstream,
        'downscope.operation': operation,
      }
      const name = `${request.method} ${operation}`
      return tracer.span({ name, kind: 'client', attributes }, async (note) => {
        const result = await http(request)
        note(outcomeOf(result))
        return result
      })
    },
    store: (store) => {
      const call = <T>(operation: string, key: string, work: () => Promise<T>): Promise<T> => {
        // What comes after it may be somebody's name.
        const [collection = ''] = key.split('/')
        const attributes = {
          'db.system.name': place.kind,
          'db.operation.name': operation,
          'db.collection.name': collection,
        }
        return tracer.span({ name: `${operation} ${collection}`, kind: 'client', attributes }, work)
      }
      return {
        get: (key) => call('get', key, () => store.get(key)),
        put: (key, value, options) => call('put', key, () => store.put(key, value, options)),
        delete: (key, options) => call('delete', key, () => store.delete(key, options)),
        list: (options) => call('list', options.prefix, () => store.list(options)),
      }
    },
    audit: (audit) => (record) => {
      const traceId = tracer.traceId()
      return step('audit', () => audit(traceId === undefined ? record : { ...record, traceId }))
    },
    exchange: (exchange, route) => (context) => {
      const attributes = {
        'http.request.method': 'POST',
        'http.route': route,
        'downscope.request_id': context.requestId,
      }
      const offered = context.traceparent
      return tracer.trace(
        { name: `POST ${route}`, kind: 'server', attributes, ...(offered === undefined ? {} : { offered }) },
        async (note) => {
          try {
            const outcome = await exchange(context)
            note({ 'http.response.status_code': 200, 'downscope.outcome': 'issued' })
            return outcome
          } catch (error) {
            note({ 'http.response.status_code': isBrokerError(error) ? answers[error.code].status : 500 })
            throw error
          }
        },
      )
    },
    steps: (steps) => ({
      ...steps,
      authenticate: async (proof) => {
        const caller = await step('authenticate', () => steps.authenticate(proof))
        // T36: only now is it known whose it is, and whether they are believed.
        if (caller.trustsTraceparent === true) tracer.follow()
        return caller
      },
      authorize: (caller, request) =>
        tracer.span({ name: 'authorize', kind: 'internal', attributes: {} }, async (note) => {
          const grant = await steps.authorize(caller, request)
          note({ 'downscope.rule': grant.rule, 'downscope.credential': grant.credential.name })
          return grant
        }),
      resolve: (grant, mint, deadlineMs) =>
        tracer.span({ name: 'cache', kind: 'internal', attributes: {} }, async (note) => {
          const resolved = await steps.resolve(grant, mint, deadlineMs)
          note({ 'downscope.cache': resolved.source })
          return resolved
        }),
    }),
    mint: (mint) => (grant, deadlineMs) => {
      const { name, upstream } = grant.credential
      const attributes = { 'downscope.upstream': upstream, 'downscope.credential': name }
      return tracer.span({ name: 'mint', kind: 'internal', attributes }, () => mint(grant, deadlineMs))
    },
    tokens: (tokens) => ({
      ...tokens,
      claim: (found) =>
        tracer.span({ name: 'lease', kind: 'internal', attributes: {} }, async (note) => {
          const claim = await tokens.claim(found)
          // The id of an instance, as in its resource: who is waited for.
          const holder = claim?.lease.holder ?? found.record?.lease?.holder
          note({
            'downscope.lease.held': claim !== undefined,
            ...(holder === undefined ? {} : { 'downscope.lease.holder': holder }),
          })
          return claim
        }),
    }),
  }
}

function outcomeOf(result: HttpResult): Readonly<Record<string, string | number>> {
  if (result.kind === 'failure') return { 'error.type': result.cause }
  const { status } = result
  return { 'http.response.status_code': status, ...(status >= 400 ? { 'error.type': String(status) } : {}) }
}
