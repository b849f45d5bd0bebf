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

/** Closed sets, names that an operator gave, and numbers; never a token, an assertion, a claim or a query (T33). */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

export interface SpanWanted {
  readonly name: string
  readonly kind: 'server' | 'client' | 'internal'
  readonly attributes: SpanAttributes
}

/** What is learned while the work is done. */
export type NoteAttributes = (attributes: SpanAttributes) => void

/** Says how the work of one request hangs together. Nothing of it throws, waits or grows without a bound. */
export interface Tracer {
  /** A span of its own trace, of all that `work` begins. `offered`: the caller's `traceparent`, believed in nothing yet. */
  trace<T>(
    wanted: SpanWanted & { readonly offered?: () => string | null | undefined },
    work: (note: NoteAttributes) => Promise<T>,
  ): Promise<T>
  /** A span below the one under way; without one the work is done and nothing else. */
  span<T>(wanted: SpanWanted, work: (note: NoteAttributes) => Promise<T>): Promise<T>
  /** Does the work as part of no trace. */
  outside(work: () => void): void
  /** Of the trace under way: 32 hex digits. */
  traceId(): string | undefined
  /** Makes the trace under way part of the one that was offered (W3C Trace Context); what is malformed changes nothing. */
  follow(): void
}
