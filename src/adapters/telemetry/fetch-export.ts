import { JsonMetricsSerializer, JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import { AggregationTemporality, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Secret } from '../../domain/secret.ts'
import type { Background } from '../../ports/background.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient, HttpResult } from '../../ports/http-client.ts'
import type { Meter, Tracer } from '../../ports/telemetry.ts'
import { createFailureLog, createMeter, queueMax, seriesMax, type Sender } from './otlp.ts'
import { createTracer } from './tracer.ts'

export interface FetchExportDeps extends Sender {
  /** Absent: no metrics are sent. */
  readonly metricsUrl: string | undefined
  /** Absent: no traces are sent. */
  readonly tracesUrl: string | undefined
  readonly headers: ReadonlyMap<string, Secret>
  readonly isDelta: boolean
  readonly intervalMs: number
  readonly tracesDelayMs: number
  readonly tracedShare: number
  readonly http: HttpClient
  readonly clock: Clock
  readonly background: Pick<Background, 'run'>
}

export interface FetchExport {
  readonly meter: Meter | undefined
  readonly tracer: Tracer | undefined
}

/** An event keeps its isolate for 30 s after its answer: a wait and a request to the collector fit into it. */
const waitMsMax = 15_000
const timeoutMsMax = 10_000
/** With this many spans a batch is sent before its time. */
const spansAtOnce = 512
const answerBytesMax = 65_536
const never = 2 ** 31 - 1

/**
 * Metrics and traces by OTLP over HTTP as JSON, with nothing but fetch. What is measured first begins a wait in the
 * background of its request, and when it is over everything there is goes out in one request. Nothing is sent twice.
 */
export function createFetchExport(given: FetchExportDeps): FetchExport {
  const { metricsUrl, tracesUrl } = given
  const deps = { ...given, timeoutMs: Math.min(given.timeoutMs, timeoutMsMax) }
  const tracer = tracesUrl === undefined ? undefined : createSentTracer(deps, tracesUrl)
  const meter = metricsUrl === undefined ? undefined : createSentMeter(deps, metricsUrl)
  if (meter === undefined || tracer === undefined) return { meter, tracer }
  // What gauges read belongs to no request.
  return { tracer, meter: { ...meter, count: (...of) => tracer.outside(() => meter.count(...of)) } }
}

function createSentMeter(deps: FetchExportDeps, url: string): Meter {
  const post = createPost('metrics', url, deps)
  const temporality = deps.isDelta ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE
  // What it collects is sent here: on Workers its own timer would end with the event that began it.
  const reader = new PeriodicExportingMetricReader({
    exporter: {
      export: () => undefined,
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
      selectAggregationTemporality: () => temporality,
    },
    exportIntervalMillis: never,
    cardinalityLimits: { default: seriesMax },
  })
  const send = async (): Promise<void> => {
    const { resourceMetrics } = await reader.collect()
    await post(JsonMetricsSerializer.serializeRequest(resourceMetrics))
  }
  const { meter } = createMeter(deps, [reader])
  const begin = createWait(deps, Math.min(deps.intervalMs, waitMsMax), send)
  return {
    ...meter,
    count: (name, labels) => {
      meter.count(name, labels)
      begin()
    },
  }
}

function createSentTracer(deps: FetchExportDeps, url: string): Tracer {
  const post = createPost('traces', url, deps)
  let spans: ReadableSpan[] = []
  const send = async (): Promise<void> => {
    const batch = spans
    spans = []
    if (batch.length > 0) await post(JsonTraceSerializer.serializeRequest(batch))
  }
  const begin = createWait(deps, Math.min(deps.tracesDelayMs, waitMsMax), send)
  const beginNow = createWait(deps, 0, send)
  return createTracer(deps, (span) => {
    if (spans.length < queueMax) spans.push(span)
    if (spans.length < spansAtOnce) begin()
    else beginNow()
  })
}

/** Begins to wait, unless a wait has begun whose end is to come. One that died with its isolate's event is forgotten. */
function createWait(
  { clock, background, timeoutMs }: FetchExportDeps,
  waitMs: number,
  send: () => Promise<void>,
): () => void {
  let overMs = -Infinity
  return () => {
    const nowMs = clock.steadyMs()
    if (nowMs < overMs) return
    overMs = nowMs + waitMs + timeoutMs
    background.run(async () => {
      await clock.sleep(waitMs)
      try {
        await send()
      } finally {
        overMs = -Infinity
      }
    })
  }
}

/** Sends one document, and tells the log when that begins to fail. */
function createPost(
  what: 'metrics' | 'traces',
  url: string,
  { http, headers, log, timeoutMs }: FetchExportDeps,
): (body: Uint8Array | undefined) => Promise<void> {
  const told = createFailureLog(what, log)
  return async (body) => {
    const result = await http({
      method: 'POST',
      url,
      headers: {
        ...Object.fromEntries([...headers].map(([name, value]) => [name, value.reveal()])),
        'content-type': 'application/json',
      },
      body: new TextDecoder().decode(body),
      timeoutMs,
      maxBytes: answerBytesMax,
    })
    told({ error: faultOf(result) })
  }
}

function faultOf(result: HttpResult): string | undefined {
  if (result.kind === 'failure') return result.detail
  return result.status < 300 ? undefined : `it answered with status ${result.status}`
}
