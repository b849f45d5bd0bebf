import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace'
import { prometheusName } from '../../domain/metrics.ts'
import { isLoopback } from '../../domain/url.ts'
import type { Meter, Tracer } from '../../ports/telemetry.ts'
import { createNodeServer } from '../system/node-server.ts'
import { createFailureLog, createMeter, queueMax, seriesMax, type Sender } from './otlp.ts'
import { createTracer } from './tracer.ts'

/** Sends what is left, for a second at most. */
type Close = () => Promise<void>

const closeTimeoutMs = 1_000
const scrapersMax = 20

export interface NodeMeter {
  readonly meter: Meter
  /** Opens the port for Prometheus; the port it is. Rejects when it is taken. */
  readonly serve: (port: number, host: string) => Promise<number>
  readonly close: Close
}

/**
 * Metrics for whoever scrapes them and, with an interval, by OTLP over HTTP; where to, the exporter reads from
 * `OTEL_EXPORTER_OTLP_…`.
 */
export function createNodeMeter(sender: Sender, intervalMs: number | undefined): NodeMeter {
  const scraped = new PrometheusExporter({ preventServerStart: true })
  const serializer = new PrometheusSerializer('', false, undefined, false, true)
  const pushed =
    intervalMs === undefined
      ? []
      : [
          new PeriodicExportingMetricReader({
            exporter: loggingFailures(new OTLPMetricExporter({ timeoutMillis: sender.timeoutMs }), sender),
            exportIntervalMillis: intervalMs,
            exportTimeoutMillis: Math.min(intervalMs, sender.timeoutMs),
            cardinalityLimits: { default: seriesMax },
          }),
        ]
  const { meter, provider } = createMeter(sender, [scraped, ...pushed])
  const text = async (): Promise<string> => {
    const { resourceMetrics } = await scraped.collect()
    return serializer.serialize(renamed(resourceMetrics))
  }
  let server: ReturnType<typeof createNodeServer> | undefined
  return {
    meter,
    serve: async (port, host) => {
      const opened = createNodeServer(createServeMetrics(text, host), scrapersMax)
      server = opened
      await new Promise<void>((resolve, reject) => {
        opened.once('error', reject)
        opened.listen({ port, host }, resolve)
      })
      const address = opened.address()
      return typeof address === 'object' && address !== null ? address.port : port
    },
    close: () => {
      server?.close()
      server?.closeAllConnections()
      return provider.shutdown({ timeoutMillis: closeTimeoutMs }).catch(() => undefined)
    },
  }
}

/** Traces by OTLP over HTTP. The queue is bounded: what a collector does not take is dropped. */
export function createNodeTracer(
  sender: Sender & { readonly tracedShare: number; readonly tracesDelayMs: number },
): {
  readonly tracer: Tracer
  readonly close: Close
} {
  const exporter = new OTLPTraceExporter({ timeoutMillis: sender.timeoutMs })
  const logging: SpanExporter = {
    export: exportLogged(exporter, createFailureLog('traces', sender.log)),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
  const processor = new BatchSpanProcessor({
    exporter: logging,
    maxQueueSize: queueMax,
    scheduledDelayMillis: sender.tracesDelayMs,
    exportTimeoutMillis: sender.timeoutMs,
  })
  return {
    tracer: createTracer(sender, (span) => processor.onEnd(span)),
    close: async () => {
      const ended = processor.shutdown().catch(() => undefined)
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, closeTimeoutMs).unref())])
    },
  }
}

function loggingFailures(exporter: OTLPMetricExporter, { log }: Sender): PushMetricExporter {
  return {
    export: exportLogged(exporter, createFailureLog('metrics', log)),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
    selectAggregation: (type) => exporter.selectAggregation(type),
    selectAggregationTemporality: (type) => exporter.selectAggregationTemporality(type),
  }
}

function exportLogged<Batch, Result>(
  exporter: { readonly export: (batch: Batch, done: (result: Result) => void) => void },
  told: (result: Result) => void,
) {
  return (batch: Batch, done: (result: Result) => void): void =>
    exporter.export(batch, (result) => {
      told(result)
      done(result)
    })
}

function renamed(resourceMetrics: ResourceMetrics): ResourceMetrics {
  return {
    ...resourceMetrics,
    scopeMetrics: resourceMetrics.scopeMetrics.map(({ scope, metrics: measured }) => ({
      scope,
      metrics: measured.map((metric) => ({
        ...metric,
        descriptor: { ...metric.descriptor, name: prometheusName(metric.descriptor.name), unit: '' },
      })),
    })),
  }
}

/** `GET /metrics`, for whoever asks by an address or by the host's own name: a page elsewhere cannot (T35). */
function createServeMetrics(
  text: () => Promise<string>,
  host: string,
): (request: Request) => Promise<Response> {
  return async (request) => {
    if (!isOwnHost(request.headers.get('host') ?? '', host))
      return plain(403, 'this host is not served here\n')
    const { pathname } = new URL(request.url)
    if (pathname !== '/metrics') return plain(404, 'there is nothing here but /metrics\n')
    if (request.method !== 'GET') return plain(405, 'only GET is served here\n')
    return new Response(await text(), {
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' },
    })
  }
}

function plain(status: number, body: string): Response {
  return new Response(body, { status, headers: { 'content-type': 'text/plain; charset=utf-8' } })
}

/** A name that is not ours may lead here only because somebody's DNS says so. An address leads here by itself. */
function isOwnHost(sent: string, host: string): boolean {
  const name = URL.parse(`http://${sent}`)?.hostname ?? ''
  if (name === '') return false
  if (isLoopback(name) || name === host) return true
  return !isLoopback(host) && /^(?:[\d.]+|\[[\da-f:.]+\])$/i.test(name)
}
