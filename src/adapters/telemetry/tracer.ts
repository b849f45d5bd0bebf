import { AsyncLocalStorage } from 'node:async_hooks'
import { SpanKind, SpanStatusCode, TraceFlags, type HrTime, type SpanContext } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { isBrokerError } from '../../domain/broker-error.ts'
import { softwareVersion } from '../../domain/version.ts'
import type { NoteAttributes, SpanAttributes, SpanWanted, Tracer } from '../../ports/telemetry.ts'
import { resourceOf, type Origin } from './otlp.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'

/** A trace as it grows. Its spans are made when it is over, for only then it is known whose trace it is. */
interface OpenTrace {
  id: string
  /** Half of the ids of its spans; the other half counts them, which is cheaper than new octets for each. */
  readonly half: string
  count: number
  /** The caller's span, once the caller is trusted with it. */
  parent: string | undefined
  isOver: boolean
  readonly spans: EndedSpan[]
  readonly offered: () => string | null | undefined
}

interface EndedSpan extends SpanWanted {
  readonly id: string
  readonly parent: string | undefined
  readonly startMs: number
  readonly endMs: number
  readonly error: string | undefined
}

/** Of one trace, beside the server span: a request that polls for a lease has a few dozen. */
const spansMax = 200
const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const

/**
 * Spans in OpenTelemetry's shape, each given to `emit` when its trace is over. `tracedShare`: of requests, from 0 to 1;
 * a caller's sampled flag is not asked (T36).
 */
export function createTracer(
  { tracedShare, ...origin }: Origin & { readonly tracedShare: number },
  emit: (span: ReadableSpan) => void,
): Tracer {
  const resource = resourceOf(origin)
  const places = new AsyncLocalStorage<{ readonly trace: OpenTrace; readonly span: string }>()

  const end = (trace: OpenTrace, span: EndedSpan): void => {
    if (trace.isOver) emit(readable(trace, span, resource))
    else if (trace.spans.length < spansMax || span.parent === undefined) trace.spans.push(span)
  }

  const run = async <T>(
    trace: OpenTrace,
    parent: string | undefined,
    wanted: SpanWanted,
    work: (note: NoteAttributes) => Promise<T>,
  ): Promise<T> => {
    trace.count += 1
    const id = trace.half + trace.count.toString(16).padStart(8, '0')
    const startMs = nowMs()
    let attributes: SpanAttributes = wanted.attributes
    let error: string | undefined
    const note = (more: SpanAttributes): void => {
      attributes = { ...attributes, ...more }
    }
    try {
      return await places.run({ trace, span: id }, () => work(note))
    } catch (thrown) {
      error = isBrokerError(thrown) ? thrown.code : 'bug'
      throw thrown
    } finally {
      end(trace, { ...wanted, attributes, id, parent, startMs, endMs: nowMs(), error })
    }
  }

  return {
    trace: async (wanted, work) => {
      if (tracedShare < 1 && Math.random() >= tracedShare) return places.exit(() => work(() => undefined))
      const { offered = () => undefined, ...span } = wanted
      const trace: OpenTrace = {
        id: randomHex(16),
        half: randomHex(4),
        count: 0,
        parent: undefined,
        isOver: false,
        spans: [],
        offered,
      }
      try {
        return await run(trace, undefined, span, work)
      } finally {
        trace.isOver = true
        for (const ended of trace.spans) emit(readable(trace, ended, resource))
        trace.spans.length = 0
      }
    },
    span: (wanted, work) => {
      const place = places.getStore()
      return place === undefined ? work(() => undefined) : run(place.trace, place.span, wanted, work)
    },
    outside: (work) => places.exit(work),
    traceId: () => places.getStore()?.trace.id,
    follow: () => {
      const trace = places.getStore()?.trace
      const [, id, parent] = traceparentForm.exec(trace?.offered() ?? '') ?? []
      if (trace === undefined || id === undefined || allZero.test(id) || allZero.test(parent ?? '')) return
      trace.id = id
      trace.parent = parent
    },
  }
}

/** W3C Trace Context §3.2: a later version may have more behind it. */
const traceparentForm = /^(?!ff)[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}(?:-.*)?$/
const allZero = /^0+$/

function randomHex(octets: number): string {
  let text = ''
  for (const octet of crypto.getRandomValues(new Uint8Array(octets)))
    text += octet.toString(16).padStart(2, '0')
  return text
}

/** On Workers `timeOrigin` is 0. */
function nowMs(): number {
  return performance.timeOrigin + performance.now()
}

function readable(trace: OpenTrace, span: EndedSpan, resource: Resource): ReadableSpan {
  const contextOf = (spanId: string): SpanContext => ({
    traceId: trace.id,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
  })
  const context = contextOf(span.id)
  const parent = span.parent ?? trace.parent
  return {
    name: span.name,
    kind: kinds[span.kind],
    spanContext: () => context,
    ...(parent !== undefined && {
      parentSpanContext: { ...contextOf(parent), isRemote: span.parent === undefined },
    }),
    startTime: hrTime(span.startMs),
    endTime: hrTime(span.endMs),
    duration: hrTime(span.endMs - span.startMs),
    status: { code: span.error === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes: { ...span.attributes, ...omitUndefined({ 'error.type': span.error }) },
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'downscope', version: softwareVersion },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]
}
