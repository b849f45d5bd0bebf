import { countAudit, type AuditCount } from '../records/count-audit.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { rowOf, type BrokerSummary } from '../domain/summary.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { SummaryRecord } from '../records/broker-summary.ts'
import type { RuleUses } from '../records/rule-uses.ts'

export interface SummariseDeps {
  readonly store: Pick<DocumentStore, 'list'>
  readonly summary: SummaryRecord
  readonly ruleUses: Pick<RuleUses, 'since'>
  readonly clock: Pick<Clock, 'now'>
}

export type Summarise = (credentials: readonly CredentialSummary[]) => Promise<void>

const hourSeconds = 3_600
const hoursKept = 72
/** Counts of strangers are written a minute after the time they are of; a clock may be behind as well. */
const settledAfter = seconds(-180)
/** In one run: the next one goes on. */
const countedMax = 20_000

/**
 * Writes down what all credentials and the last days of the audit trail come to. Goes on where the last run ended, and
 * harmless when it runs twice at once: the later one wins, and both counted from a key. May throw `store_unavailable`.
 */
export function createSummarise(deps: SummariseDeps): Summarise {
  return async (credentials) => {
    const now = deps.clock.now()
    const before = await deps.summary.read()
    const counted = await countAudit(deps.store, {
      after: before?.countedTo,
      since: later(now, seconds(-hoursKept * hourSeconds)),
      until: later(now, settledAfter),
      max: countedMax,
    })
    const { lastUsed, usesReadAt } = await readUses(deps, before, now)
    const countedTo = counted.countedTo ?? before?.countedTo
    await deps.summary.keep({
      at: now,
      credentials: credentials.map((credential) => rowOf(credential, lastUsed.get(credential.name))),
      isCut: false,
      hours: mergeHours([...(before?.hours ?? []), ...counted.hours], now),
      ...omitUndefined({ countedTo, usesReadAt }),
    })
  }
}

/** Uses are kept by the day, and thousands of credentials have thousands of them: they are read once an hour. */
async function readUses({ ruleUses }: SummariseDeps, before: BrokerSummary | undefined, now: EpochSeconds) {
  const lastUsed = new Map<string, EpochSeconds>()
  for (const { name, lastUsed: day } of before?.credentials ?? [])
    if (day !== undefined) lastUsed.set(name, day)
  const readAt = before?.usesReadAt
  if (readAt !== undefined && now - readAt < hourSeconds) return { lastUsed, usesReadAt: readAt }
  const from = readAt ?? later(now, seconds(-30 * 24 * hourSeconds))
  for (const { credential, day } of await ruleUses.since(from, []))
    if (day > (lastUsed.get(credential) ?? 0)) lastUsed.set(credential, day)
  return { lastUsed, usesReadAt: now }
}

/** An entry for each hour, in order, without those that are too old. */
export function mergeHours(counts: AuditCount['hours'], now: EpochSeconds): BrokerSummary['hours'] {
  const byHour = new Map<EpochSeconds, AuditCount['hours'][number]>()
  for (const count of counts) {
    const known = byHour.get(count.hour)
    byHour.set(count.hour, known === undefined ? count : addHours(known, count))
  }
  return [...byHour.values()]
    .filter(({ hour }) => now - hour < (hoursKept + 1) * hourSeconds)
    .toSorted((one, other) => one.hour - other.hour)
}

const credentialsPerHour = 50

type HourCount = AuditCount['hours'][number]

function addHours(one: HourCount, other: HourCount): HourCount {
  const refusedOf = new Map(Object.entries(one.refusedOf))
  for (const [name, count] of Object.entries(other.refusedOf))
    if (refusedOf.has(name) || refusedOf.size < credentialsPerHour)
      refusedOf.set(name, (refusedOf.get(name) ?? 0) + count)
  return {
    hour: one.hour,
    issued: one.issued + other.issued,
    refused: one.refused + other.refused,
    failed: one.failed + other.failed,
    refusedOf: Object.fromEntries(refusedOf),
  }
}
