import { auditOutcomes } from './audit-record.ts'
import { rotationSteps } from './rotation.ts'

/** What a metric is: its kind, what it says in a sentence, and its labels with all the values that they can have. */
export interface MetricDescription {
  readonly kind: 'counter' | 'histogram' | 'gauge'
  /** Seconds, or a count of something. */
  readonly unit?: 's'
  readonly means: string
  /** By label: a closed set of values, or the words for names that an operator gave. Never what a stranger sent. */
  readonly labels: Readonly<Record<string, readonly string[] | string>>
}

const upstreamNames = "an upstream's name in the policy, `google`, `issuer`, `webhook` or `other`"
const credentialNames = "a credential's name"

/** Every metric there is; docs/observability.md shows this table. */
export const metrics = {
  'downscope.requests': {
    kind: 'counter',
    means: 'Token requests that were decided.',
    labels: {
      outcome: auditOutcomes,
      error: 'a code of docs/errors.md, `bug`, or `none`',
      grant_type: ['token_exchange', 'client_credentials', 'iam_credentials', 'unknown'],
      cache: ['memory', 'store', 'mint', 'none'],
    },
  },
  'downscope.request.duration': {
    kind: 'histogram',
    unit: 's',
    means: 'How long token requests took, from the parsed form to the audit record.',
    labels: { outcome: auditOutcomes, cache: ['memory', 'store', 'mint', 'none'] },
  },
  'downscope.mints': {
    kind: 'counter',
    means: 'Attempts to get a fresh token upstream.',
    labels: { upstream: upstreamNames, outcome: ['minted', 'refused', 'failed'] },
  },
  'downscope.upstream.requests': {
    kind: 'counter',
    means: 'HTTP requests that the broker sent. A token endpoint refuses with 4xx.',
    labels: {
      upstream: upstreamNames,
      operation: [
        'token',
        'revoke',
        'introspect',
        'discovery',
        'keys',
        'sts',
        'iam',
        'iam_credentials',
        'kms',
        'tokeninfo',
        'store',
        'metadata',
        'event',
        'other',
      ],
      outcome: ['2xx', '3xx', '4xx', '429', '5xx', 'timeout', 'network', 'too_large', 'redirect'],
    },
  },
  'downscope.upstream.duration': {
    kind: 'histogram',
    unit: 's',
    means: 'How long these requests took.',
    labels: { upstream: upstreamNames, operation: 'as above' },
  },
  'downscope.store.operations': {
    kind: 'counter',
    means: 'Reads and writes of the store. `conflict`: the condition of a write did not hold.',
    labels: { operation: ['get', 'put', 'delete', 'list'], outcome: ['ok', 'conflict', 'failed'] },
  },
  'downscope.store.duration': {
    kind: 'histogram',
    unit: 's',
    means: 'How long these operations took.',
    labels: { operation: ['get', 'put', 'delete', 'list'] },
  },
  'downscope.key_ring.operations': {
    kind: 'counter',
    means: 'Texts that were sealed or opened.',
    labels: { operation: ['seal', 'open', 'renew'], outcome: ['ok', 'failed'] },
  },
  'downscope.lease.waits': {
    kind: 'counter',
    means: 'Requests that waited because another instance or request held the lease to mint.',
    labels: {},
  },
  'downscope.audit.records': {
    kind: 'counter',
    means: 'Audit records. A request whose record failed got no token.',
    labels: { outcome: ['written', 'failed'] },
  },
  'downscope.credential.ends_in': {
    kind: 'gauge',
    unit: 's',
    means: 'How long a credential still works; of those whose end is known. Without the label, the soonest.',
    labels: { credential: credentialNames },
  },
  'downscope.credential.healthy': {
    kind: 'gauge',
    means:
      '1 when the last exchange with a credential worked, 0 when it is broken. Without the label, of all.',
    labels: { credential: credentialNames },
  },
  'downscope.rotation.age': {
    kind: 'gauge',
    unit: 's',
    means: 'Since when the oldest rotation stands at a step.',
    labels: { step: rotationSteps },
  },
  'downscope.policy.age': {
    kind: 'gauge',
    unit: 's',
    means: 'Since when the policy is in force on this instance.',
    labels: {},
  },
  'downscope.policy.faults': {
    kind: 'gauge',
    means: "1 when the source's policy is refused or cannot be read, and the last good one is in force.",
    labels: {},
  },
} as const satisfies Readonly<Record<string, MetricDescription>>

export type MetricName = keyof typeof metrics

type NameOf<Kind extends MetricDescription['kind']> = {
  [Name in MetricName]: (typeof metrics)[Name]['kind'] extends Kind ? Name : never
}[MetricName]

export type CounterName = NameOf<'counter'>
export type HistogramName = NameOf<'histogram'>
export type GaugeName = NameOf<'gauge'>

/** As Prometheus names them: underscores, the unit, and `_total` for a counter. */
export function prometheusName(name: string): string {
  const description: MetricDescription | undefined = Object.entries<MetricDescription>(metrics).find(
    ([known]) => known === name,
  )?.[1]
  const unit = description?.unit === 's' ? '_seconds' : ''
  return `${name.replaceAll('.', '_')}${unit}${description?.kind === 'counter' ? '_total' : ''}`
}
