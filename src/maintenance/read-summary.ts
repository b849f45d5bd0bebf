import type { CredentialKind, CredentialState } from '../domain/credential.ts'
import type { Policy } from '../domain/policy.ts'
import {
  attentionOf,
  rowOf,
  type Attention,
  type BrokerSummary,
  type CredentialRow,
  type HourCount,
} from '../domain/summary.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { secondsPerDay, later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { SummaryRecord } from '../records/broker-summary.ts'
import { countAudit, type AuditCount } from '../records/count-audit.ts'
import type { Credentials } from '../records/credentials.ts'
import { mergeHours } from './summarise.ts'

export interface SummaryQuestion {
  readonly name?: string
  readonly search?: string
  readonly kind?: CredentialKind
  readonly state?: CredentialState
  readonly needsAttention: boolean
  readonly sort: 'name' | 'last_used' | 'rotated_at' | 'ends_at'
  readonly offset: number
  readonly limit: number
}

export interface ShownRow {
  readonly row: CredentialRow
  readonly attention: Attention | undefined
  readonly refusedToday: number
  readonly usedBy: readonly { readonly rule: string; readonly callers: readonly string[] }[]
}

export interface SummaryPage {
  /** As of when filters and sums are; of a small store, of now. */
  readonly at: EpochSeconds
  readonly total: number
  readonly matching: number
  readonly isCut: boolean
  readonly rows: readonly ShownRow[]
  readonly hours: readonly HourCount[]
  /** Up to when the hours are counted: there were more records than a page may read. */
  readonly hoursCutAt?: EpochSeconds
}

export type ReadSummary = (question: SummaryQuestion) => Promise<SummaryPage>

export interface ReadSummaryDeps {
  readonly store: Pick<DocumentStore, 'list'>
  readonly summary: SummaryRecord
  readonly credentials: Pick<Credentials, 'find' | 'list'>
  /** Throws `policy_unavailable`. */
  readonly policy: () => Promise<{ readonly policy: Policy }>
  readonly clock: Pick<Clock, 'now'>
}

/** Documents read for one page, beside the summary. */
const readMax = 100
const callersShown = 5

/**
 * Credentials as a page shows them. Fewer than 50 are read as they are; of more, the summary says which ones a page has,
 * and those are read. So a page reads at most 100 documents. Throws `policy_unavailable` and `store_unavailable`.
 */
export function createReadSummary(deps: ReadSummaryDeps): ReadSummary {
  const { summary, clock } = deps
  return async (question) => {
    const now = clock.now()
    const kept = await summary.read()
    const isSmall = (kept?.credentials.length ?? 0) < readMax / 2
    const lastUsed = new Map(kept?.credentials.map(({ name, lastUsed: day }) => [name, day]))
    const live = isSmall ? await deps.credentials.list({ limit: readMax / 2 }) : []
    const isWhole = isSmall && live.length < readMax / 2
    const all = isSmall ? live.map((one) => rowOf(one, lastUsed.get(one.name))) : (kept?.credentials ?? [])
    const { hours, cutAt: hoursCutAt } = await freshHours(deps, kept, now)
    const refused = refusedSince(hours, later(now, seconds(-secondsPerDay)))
    const judge = (row: CredentialRow) => attentionOf(row, { now, refusedToday: refused.get(row.name) ?? 0 })
    const matching = sorted(all, question.sort).filter((row) => matches(row, question, judge(row)))
    const page = matching.slice(question.offset, question.offset + question.limit)
    const shown = isSmall ? page : await readAgain(deps, page)
    const usedBy = usesIn((await deps.policy()).policy)
    return {
      at: isWhole ? now : (kept?.at ?? now),
      total: all.length,
      matching: matching.length,
      isCut: kept?.isCut === true || (isSmall && !isWhole),
      rows: shown.map((row) => ({
        row,
        attention: judge(row),
        refusedToday: refused.get(row.name) ?? 0,
        usedBy: usedBy.get(row.name) ?? [],
      })),
      hours,
      ...omitUndefined({ hoursCutAt }),
    }
  }
}

/** As they are now: whoever disabled one a moment ago sees it so. Those that are gone are left out. */
async function readAgain({ credentials }: ReadSummaryDeps, page: readonly CredentialRow[]) {
  const found = await Promise.all(
    page.map(async (row) => {
      const credential = await credentials.find(row.name)
      return credential === undefined ? [] : [rowOf(credential, row.lastUsed)]
    }),
  )
  return found.flat()
}

/** With what came since maintenance counted, as far as a page may read. */
async function freshHours(
  { store }: ReadSummaryDeps,
  kept: BrokerSummary | undefined,
  now: EpochSeconds,
): Promise<Pick<AuditCount, 'hours' | 'cutAt'>> {
  const more = await countAudit(store, {
    after: kept?.countedTo,
    since: later(now, seconds(-secondsPerDay)),
    until: later(now, seconds(60)),
    max: readMax / 2,
  })
  const hours = mergeHours([...(kept?.hours ?? []), ...more.hours], now)
  return { hours, ...omitUndefined({ cutAt: more.cutAt }) }
}

function refusedSince(hours: readonly HourCount[], since: EpochSeconds): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { hour, refusedOf } of hours)
    if (hour >= since)
      for (const [name, count] of Object.entries(refusedOf)) counts.set(name, (counts.get(name) ?? 0) + count)
  return counts
}

function usesIn({ rules }: Policy): ReadonlyMap<string, ShownRow['usedBy']> {
  const uses = new Map<string, ShownRow['usedBy'][number][]>()
  for (const { name, credential, callers } of rules) {
    const shown = callers.slice(0, callersShown).map(({ issuer, subject }) => `${issuer}/${subject}`)
    const known = uses.get(credential)
    if (known === undefined) uses.set(credential, [{ rule: name, callers: shown }])
    else known.push({ rule: name, callers: shown })
  }
  return uses
}

function sorted(rows: readonly CredentialRow[], by: SummaryQuestion['sort']): readonly CredentialRow[] {
  const orders: Readonly<Record<Exclude<typeof by, 'name'>, (row: CredentialRow) => number>> = {
    last_used: ({ lastUsed }) => 0 - (lastUsed ?? 0),
    rotated_at: ({ rotatedAt }) => rotatedAt,
    ends_at: ({ endsAt }) => endsAt ?? Infinity,
  }
  if (by === 'name') return rows
  const order = orders[by]
  // Not by subtraction: what never ends is infinite.
  return rows.toSorted((one, other) =>
    Math.sign(order(one) < order(other) ? -1 : Number(order(one) > order(other))),
  )
}

function matches(
  row: CredentialRow,
  { name, search, kind, state, needsAttention }: SummaryQuestion,
  attention: Attention | undefined,
): boolean {
  if (name !== undefined && row.name !== name) return false
  if (kind !== undefined && row.kind !== kind) return false
  if (state !== undefined && row.state !== state) return false
  if (needsAttention && attention === undefined) return false
  if (search === undefined) return true
  const word = search.toLowerCase()
  return [row.name, row.account, ...row.scopes].some((text) => text.toLowerCase().includes(word))
}
