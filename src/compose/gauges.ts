import type { CredentialSummary } from '../domain/credential.ts'
import { rowOf, type CredentialRow } from '../domain/summary.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { PolicyStatus } from '../policy/policy-in-force.ts'
import type { Clock } from '../ports/clock.ts'
import type { GaugeReading } from '../ports/telemetry.ts'
import type { SummaryRecord } from '../records/broker-summary.ts'

export interface GaugesDeps {
  readonly policyStatus: () => PolicyStatus
  readonly summary: Pick<SummaryRecord, 'read'>
  readonly credentials: {
    list(options: { readonly limit: number }): Promise<readonly CredentialSummary[]>
  }
  readonly clock: Pick<Clock, 'now' | 'steadyMs'>
  /** False: no label names a credential (T35). */
  readonly namesCredentials: boolean
}

/** Fewer are read as they are, as the pages do; of more, maintenance has written a summary. */
const readMax = 50
const namedMax = 1_000
/** However often somebody asks. */
const pauseMs = 15_000

/** What is true now rather than what happened: how policy and credentials are. */
export function createGauges(deps: GaugesDeps): () => Promise<readonly GaugeReading[]> {
  const { clock } = deps
  let rows: readonly CredentialRow[] = []
  let nextMs = 0
  return async () => {
    if (clock.steadyMs() >= nextMs) {
      nextMs = clock.steadyMs() + pauseMs
      // While the store is down what was known stays: a broken credential is not well again.
      rows = await readRows(deps).catch(() => rows)
    }
    const now = clock.now()
    return [
      ...ofPolicy(deps.policyStatus(), now),
      ...ofCredentials(deps, rows, now),
      ...ofRotations(rows, now),
    ]
  }
}

async function readRows({ summary, credentials }: GaugesDeps): Promise<readonly CredentialRow[]> {
  const live = await credentials.list({ limit: readMax })
  if (live.length < readMax) return live.map((one) => rowOf(one, undefined))
  return (await summary.read())?.credentials ?? []
}

function ofPolicy({ inForce, lastFault }: PolicyStatus, now: EpochSeconds): readonly GaugeReading[] {
  const faults = {
    name: 'downscope.policy.faults',
    value: lastFault === undefined ? 0 : 1,
    labels: {},
  } as const
  if (inForce === undefined) return [faults]
  return [{ name: 'downscope.policy.age', value: now - inForce.loadedAt, labels: {} }, faults]
}

function ofCredentials(
  { namesCredentials }: GaugesDeps,
  rows: readonly CredentialRow[],
  now: EpochSeconds,
): readonly GaugeReading[] {
  const used = rows.filter(({ state }) => state === 'enabled')
  const ends = used.flatMap(({ name, endsAt }) =>
    endsAt === undefined ? [] : [{ name, value: endsAt - now }],
  )
  const health = used
    .filter((row) => row.health !== 'unknown')
    .map((row) => ({ name: row.name, value: row.health === 'broken' ? 0 : 1 }))
  const isNamed = namesCredentials && rows.length <= namedMax
  return [
    ...shown('downscope.credential.ends_in', ends, isNamed),
    ...shown('downscope.credential.healthy', health, isNamed),
  ]
}

/** Each by its name, or else the lowest of them all. */
function shown(
  name: GaugeReading['name'],
  values: readonly { readonly name: string; readonly value: number }[],
  isNamed: boolean,
): readonly GaugeReading[] {
  if (isNamed) return values.map((one) => ({ name, value: one.value, labels: { credential: one.name } }))
  if (values.length === 0) return []
  return [{ name, value: values.reduce((least, { value }) => Math.min(least, value), Infinity), labels: {} }]
}

function ofRotations(rows: readonly CredentialRow[], now: EpochSeconds): readonly GaugeReading[] {
  const oldest = new Map<string, number>()
  for (const { rotation: step, rotationSince } of rows)
    if (step !== undefined && rotationSince !== undefined)
      oldest.set(step, Math.max(oldest.get(step) ?? 0, now - rotationSince))
  return [...oldest].map(([step, value]) => ({ name: 'downscope.rotation.age', value, labels: { step } }))
}
