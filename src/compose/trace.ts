import { isBrokerError } from '../domain/broker-error.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { answers } from '../http/answers.ts'
import type { HttpResult } from '../ports/http-client.ts'
import type { Meter, Tracer } from '../ports/telemetry.ts'
import type { Settings } from '../config.ts'
import { createMeasures, joinMeasures, unmeasured, type Measures } from './measure.ts'
import { createNameCall, type NameCall } from './name-call.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'
import type { Clock } from '../ports/clock.ts'

interface TracesDeps {
  readonly tracer: Tracer
  readonly nameCall: NameCall
  readonly store: Settings['store']
  readonly instance: string
}

/**
 * Wraps what the broker is put together from in spans, one for each step that DESIGN names and one for each call of an
 * upstream or the store. Attributes are by OpenTelemetry's semantic conventions where there are any; addresses of
 * calls are not among them, for they may hold names and queries (T33).
 */
function createTraces({ tracer, nameCall, store: place, instance }: TracesDeps): Measures {
  const step = <T>(name: string, work: () => Promise<T>): Promise<T> =>
    tracer.span({ name, kind: 'internal', attributes: {} }, work)
  // The instance that holds the lease, by the id in its resource attributes.
  const leaseSpan = <T>(work: (note: (held: boolean, holder: string | undefined) => void) => Promise<T>) =>
    tracer.span({ name: 'lease', kind: 'internal', attributes: {} }, (note) =>
      work((held, holder) =>
        note({ 'downscope.lease.held': held, ...omitUndefined({ 'downscope.lease.holder': holder }) }),
      ),
    )
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
        if (tracer.traceId() === undefined) return work()
        // The rest of the key may hold a person's name.
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
        { name: `POST ${route}`, kind: 'server', attributes, ...omitUndefined({ offered }) },
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
      authenticate: (proof) =>
        step('authenticate', async () => {
          const caller = await steps.authenticate(proof)
          // T36: only now is it known whose it is, and whether they are believed.
          if (caller.trustsTraceparent === true) tracer.follow()
          return caller
        }),
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
        leaseSpan(async (note) => {
          const claim = await tokens.claim(found)
          note(claim !== undefined, claim?.lease.holder ?? found.record?.lease?.holder)
          return claim
        }),
    }),
    refreshLeases: (leases) => ({
      ...leases,
      begin: (wanted) =>
        leaseSpan(async (note) => {
          const lease = await leases.begin(wanted)
          note(lease.held, lease.held ? instance : lease.holder)
          return lease
        }),
    }),
  }
}

function outcomeOf(result: HttpResult): Readonly<Record<string, string | number>> {
  if (result.kind === 'failure') return { 'error.type': result.cause }
  const { status } = result
  return { 'http.response.status_code': status, ...(status >= 400 && { 'error.type': String(status) }) }
}

export interface TelemetryParts {
  readonly instance: string
  readonly meter: Meter | undefined
  readonly tracer: Tracer | undefined
  readonly clock: Pick<Clock, 'steadyMs'>
}

/** Wraps the parts of a broker in metrics and traces, as far as they are exported. */
export function measuresFor(
  settings: Settings,
  { instance, meter, tracer, clock }: TelemetryParts,
): Measures {
  let policyOf: () => CompiledPolicy | undefined = () => undefined
  const nameCall = createNameCall(settings, () => policyOf())
  const metered = meter === undefined ? unmeasured : createMeasures({ meter, clock, nameCall })
  const traced =
    tracer === undefined ? unmeasured : createTraces({ tracer, nameCall, instance, store: settings.store })
  return {
    ...joinMeasures(metered, traced),
    followPolicy: (policy) => {
      policyOf = policy
    },
  }
}
