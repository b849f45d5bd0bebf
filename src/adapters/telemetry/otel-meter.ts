import type { Counter, Histogram, ObservableGauge } from '@opentelemetry/api'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import {
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import { metrics, prometheusName, type MetricDescription } from '../../domain/metrics.ts'
import { softwareVersion as version } from '../../domain/version.ts'
import type { GaugeReading, Meter } from '../../ports/meter.ts'
import type { Log } from '../../ports/log.ts'
import { closeTimeoutMs, exportTimeoutMs, logFailedExports, resourceOf } from './otlp.ts'

export interface OtelMeter {
  readonly meter: Meter
  /** Everything there is, in Prometheus' text format. */
  readonly text: () => Promise<string>
  /** Sends what is left, for a second at most. */
  readonly close: () => Promise<void>
}

export interface OtelMeterDeps {
  /** Whether metrics are sent by OTLP over HTTP; where to, the exporter reads from `OTEL_EXPORTER_OTLP_…`. */
  readonly sends: boolean
  readonly intervalMs: number
  readonly instance: string
  readonly log: Log
}

/** From half a millisecond, which a cached hit takes, to the 10 s within which every answer leaves. */
const bucketsSeconds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
/** Series a metric: more than this many sets of labels are counted as one (`otel.metric.overflow`). */
const seriesMax = 2_000

/** OpenTelemetry's own SDK behind the port. Its memory is bounded by the number of series, and so is a collector's. */
export function createOtelMeter({ sends, intervalMs, instance, log }: OtelMeterDeps): OtelMeter {
  const scraped = new PrometheusExporter({ preventServerStart: true })
  const serializer = new PrometheusSerializer('', false, undefined, false, true)
  const pushed = sends
    ? [
        new PeriodicExportingMetricReader({
          exporter: loggingFailures(new OTLPMetricExporter({ timeoutMillis: exportTimeoutMs }), log),
          exportIntervalMillis: intervalMs,
          exportTimeoutMillis: Math.min(intervalMs, exportTimeoutMs),
          cardinalityLimits: { default: seriesMax },
        }),
      ]
    : []
  const provider = new MeterProvider({ resource: resourceOf(instance), readers: [scraped, ...pushed] })
  return {
    meter: createMeter(provider),
    text: async () => {
      const { resourceMetrics } = await scraped.collect()
      return serializer.serialize(renamed(resourceMetrics))
    },
    close: () => provider.shutdown({ timeoutMillis: closeTimeoutMs }).catch(() => undefined),
  }
}

function createMeter(provider: MeterProvider): Meter {
  const otel = provider.getMeter('downscope', version)
  const counters = new Map<string, Counter>()
  const histograms = new Map<string, Histogram>()
  const gauges = new Map<string, ObservableGauge>()
  for (const [name, description] of Object.entries<MetricDescription>(metrics)) {
    const { kind, means, unit = '' } = description
    const options = { description: means, unit }
    if (kind === 'counter') counters.set(name, otel.createCounter(name, options))
    else if (kind === 'gauge') gauges.set(name, otel.createObservableGauge(name, options))
    else {
      const advice = { explicitBucketBoundaries: [...bucketsSeconds] }
      histograms.set(name, otel.createHistogram(name, { ...options, advice }))
    }
  }
  return {
    count: (name, labels) => counters.get(name)?.add(1, labels),
    record: (name, seconds, labels) => histograms.get(name)?.record(seconds, labels),
    watch: (read) =>
      otel.addBatchObservableCallback(
        async (result) => {
          for (const { name, value, labels } of await readQuietly(read)) {
            const gauge = gauges.get(name)
            if (gauge !== undefined) result.observe(gauge, value, labels)
          }
        },
        [...gauges.values()],
      ),
  }
}

async function readQuietly(read: () => Promise<readonly GaugeReading[]>): Promise<readonly GaugeReading[]> {
  try {
    return await read()
  } catch {
    return []
  }
}

function loggingFailures(exporter: OTLPMetricExporter, log: Log): PushMetricExporter {
  return {
    export: logFailedExports('metrics', exporter, log),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
    selectAggregation: (type) => exporter.selectAggregation(type),
    selectAggregationTemporality: (type) => exporter.selectAggregationTemporality(type),
  }
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
