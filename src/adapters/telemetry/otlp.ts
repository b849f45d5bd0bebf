import type { Counter, Histogram, ObservableGauge } from '@opentelemetry/api'
import { resourceFromAttributes, type Resource } from '@opentelemetry/resources'
import { MeterProvider, type MetricReader } from '@opentelemetry/sdk-metrics'
import { metrics, type MetricDescription } from '../../domain/metrics.ts'
import { softwareVersion as version } from '../../domain/version.ts'
import type { Log } from '../../ports/log.ts'
import type { GaugeReading, Meter, MetricLabels } from '../../ports/telemetry.ts'

/** The resource attributes of this instance. */
export interface Sender {
  readonly instance: string
  /** `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly resource: Readonly<Record<string, string>>
  readonly log: Log
  /** How long a collector may take. */
  readonly timeoutMs: number
}

/** The metrics and spans of one instance. */
export type Origin = Pick<Sender, 'instance' | 'resource'>

/** How many spans may wait to be sent; those that a collector does not accept are dropped. */
export const queueMax = 2_048
/** Series a metric: more than this many sets of labels are counted as one (`otel.metric.overflow`). */
export const seriesMax = 2_000
/** From half a millisecond, which a cached hit takes, to the 10 s within which every answer leaves. */
const bucketsSeconds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** The settings win, except for the name of the instance, which leases carry too. */
export function resourceOf({ instance, resource }: Origin): Resource {
  return resourceFromAttributes({
    'service.name': 'downscope',
    'service.version': version,
    ...resource,
    'service.instance.id': instance,
  })
}

/** Logs one line when sending begins to fail and one when it works again, and never a collector's answer. */
export function createFailureLog(
  what: 'metrics' | 'traces',
  log: Log,
): (result: { readonly error?: unknown }) => void {
  let isFailing = false
  return ({ error }) => {
    const fails = error !== undefined
    if (fails !== isFailing)
      log(fails ? 'warn' : 'info', `${what} ${fails ? 'cannot be sent' : 'are sent again'}`, { error })
    isFailing = fails
  }
}

/** OpenTelemetry's own SDK behind the port. Its memory is bounded by the number of series, and so is a collector's. */
export function createMeter(
  origin: Origin,
  readers: MetricReader[],
): { readonly meter: Meter; readonly provider: MeterProvider } {
  const provider = new MeterProvider({ resource: resourceOf(origin), readers })
  const otel = provider.getMeter('downscope', version)
  const counters = new Map<string, Counter>()
  const histograms = new Map<string, Histogram>()
  const gauges = new Map<string, ObservableGauge>()
  for (const [name, description] of Object.entries<MetricDescription>(metrics)) {
    const { kind, means, unit = '', labels } = description
    const options = { description: means, unit }
    if (kind === 'counter') {
      const counter = otel.createCounter(name, options)
      counters.set(name, counter)
      // A series that begins with its first event has not grown: Prometheus would not see the first failure.
      for (const known of labelSets(Object.entries(labels))) counter.add(0, known)
    } else if (kind === 'gauge') gauges.set(name, otel.createObservableGauge(name, options))
    else {
      const advice = { explicitBucketBoundaries: [...bucketsSeconds] }
      histograms.set(name, otel.createHistogram(name, { ...options, advice }))
    }
  }
  // Added at the next collection: the SDK sorts and prints the labels of every addition.
  const counts = new Map<string, { readonly name: string; readonly labels: MetricLabels; count: number }>()
  const addCounts = (): void => {
    for (const { name, labels, count } of counts.values()) counters.get(name)?.add(count, labels)
    counts.clear()
  }
  otel.addBatchObservableCallback(addCounts, [...gauges.values()])
  const meter: Meter = {
    count: (name, labels) => {
      const series = JSON.stringify([name, labels])
      const known = counts.get(series)
      if (known !== undefined) known.count += 1
      else if (counts.size < seriesMax) counts.set(series, { name, labels, count: 1 })
      else counters.get(name)?.add(1, labels)
    },
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
  return { meter, provider }
}

/** All that the labels can be together; none where one of them is not of a closed set. */
function labelSets(labels: readonly [string, readonly string[] | string][]): readonly MetricLabels[] {
  return labels.reduce<readonly MetricLabels[]>(
    (sets, [label, values]) =>
      typeof values === 'string'
        ? []
        : sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value }))),
    [{}],
  )
}

async function readQuietly(read: () => Promise<readonly GaugeReading[]>): Promise<readonly GaugeReading[]> {
  try {
    return await read()
  } catch {
    return []
  }
}
