import type { CounterName, GaugeName, HistogramName } from '../domain/metrics.ts'

/** Values from closed sets or names that an operator gave (`domain/metrics.ts`). */
export type MetricLabels = Readonly<Record<string, string>>

export interface GaugeReading {
  readonly name: GaugeName
  readonly value: number
  readonly labels: MetricLabels
}

/** Where measurements go. Nothing of it throws, waits or grows with what callers send. */
export interface Meter {
  count(name: CounterName, labels: MetricLabels): void
  record(name: HistogramName, seconds: number, labels: MetricLabels): void
  /** Asked for gauges whenever somebody wants to know; its failure leaves them out. */
  watch(read: () => Promise<readonly GaugeReading[]>): void
}
