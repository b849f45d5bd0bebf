import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { SpanKind, SpanStatusCode, TraceFlags, type HrTime, type SpanContext } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import type { Resource } from '@opentelemetry/resources'
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace'
import { isBrokerError } from '../../domain/broker-error.ts'
import { softwareVersion } from '../../domain/version.ts'
import type { Log } from '../../ports/log.ts'
import type { NoteAttributes, SpanAttributes, SpanWanted, Tracer } from '../../ports/tracer.ts'
import { closeTimeoutMs, exportTimeoutMs, logFailedExports, resourceOf } from './otlp.ts'

export interface OtelTracer {
  readonly tracer: Tracer
  /** Sends what is left, for a second at most. */
  readonly close: () => Promise<void>
}

export interface OtelTracerDeps {
  readonly instance: string
  /** The share of requests that are traced, from 0 to 1. A caller's sampled flag is not asked (T36). */
  readonly ratio: number
  /** Uniform in [0, 1). */
  readonly fraction: () => number
  readonly log: Log
}

/** A trace as it grows. Its spans are made when it is over, for only then it is known whose trace it is. */
interface OpenTrace {
  id: string
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

interface Place {
  readonly trace: OpenTrace
  readonly span: string
}

/** Of one trace: a request that polls for a lease has a few dozen. */
const spansMax = 200
const queueMax = 2_048
const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const

/** Traces by OTLP over HTTP. The queue is bounded: what a collector does not take is dropped. */
export function createOtelTracer({ instance, ratio, fraction, log }: OtelTracerDeps): OtelTracer {
  const resource = resourceOf(instance)
  const exporter = new OTLPTraceExporter({ timeoutMillis: exportTimeoutMs })
  const processor = new BatchSpanProcessor({
    exporter: loggingFailures(exporter, log),
    maxQueueSize: queueMax,
    exportTimeoutMillis: exportTimeoutMs,
  })
  const places = new AsyncLocalStorage<Place>()

  const end = (trace: OpenTrace, span: EndedSpan): void => {
    if (trace.isOver) processor.onEnd(readable(trace, span, resource))
    else if (trace.spans.length < spansMax) trace.spans.push(span)
  }

  const run = async <T>(
    trace: OpenTrace,
    parent: string | undefined,
    wanted: SpanWanted,
    work: (note: NoteAttributes) => Promise<T>,
  ): Promise<T> => {
    const id = randomBytes(8).toString('hex')
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
    tracer: {
      trace: async ({ offered = () => undefined, ...wanted }, work) => {
        if (ratio < 1 && fraction() >= ratio) return places.exit(() => work(() => undefined))
        const trace: OpenTrace = {
          id: randomBytes(16).toString('hex'),
          parent: undefined,
          isOver: false,
          spans: [],
          offered,
        }
        try {
          return await run(trace, undefined, wanted, work)
        } finally {
          trace.isOver = true
          for (const span of trace.spans) processor.onEnd(readable(trace, span, resource))
          trace.spans.length = 0
        }
      },
      span: (wanted, work) => {
        const place = places.getStore()
        return place === undefined ? work(() => undefined) : run(place.trace, place.span, wanted, work)
      },
      traceId: () => places.getStore()?.trace.id,
      follow: () => {
        const trace = places.getStore()?.trace
        const [, id, parent] = traceparentForm.exec(trace?.offered() ?? '') ?? []
        if (trace === undefined || id === undefined || allZero.test(id) || allZero.test(parent ?? '')) return
        trace.id = id
        trace.parent = parent
      },
    },
    close: async () => {
      const ended = processor.shutdown().catch(() => undefined)
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, closeTimeoutMs).unref())])
    },
  }
}

/** W3C Trace Context §3.2: a later version may have more behind it. */
const traceparentForm = /^(?!ff)[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}(?:-.*)?$/
const allZero = /^0+$/

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
    ...(parent === undefined
      ? {}
      : { parentSpanContext: { ...contextOf(parent), isRemote: span.parent === undefined } }),
    startTime: hrTime(span.startMs),
    endTime: hrTime(span.endMs),
    duration: hrTime(span.endMs - span.startMs),
    status: { code: span.error === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes: { ...span.attributes, ...(span.error === undefined ? {} : { 'error.type': span.error }) },
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

function loggingFailures(exporter: OTLPTraceExporter, log: Log): SpanExporter {
  return {
    export: logFailedExports('traces', exporter, log),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
}
