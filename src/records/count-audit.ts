import * as z from 'zod/mini'
import type { HourCount } from '../domain/summary.ts'
import { epochSeconds, type EpochSeconds } from '../domain/time.ts'
import type { Document, DocumentStore } from '../ports/document-store.ts'
import { auditKeyAt, auditSecondOf } from './audit-log.ts'
import { instant } from './stored-fields.ts'

export interface AuditSpan {
  /** The key that was counted last. */
  readonly after?: string | undefined
  readonly since: EpochSeconds
  readonly until: EpochSeconds
  /** At most so many records, each list as long as `pageSize` at most. */
  readonly max: number
}

export interface AuditCount {
  readonly hours: readonly HourCount[]
  /** The key up to which it was counted; absent where there was nothing. */
  readonly countedTo?: string
  /** Where `max` ended it: the instant up to which everything was counted. */
  readonly cutAt?: EpochSeconds
}

const pageSize = 500
const hourSeconds = 3_600

/** What requests for tokens came to, hour by hour, in the order of the trail. May throw `store_unavailable`. */
export async function countAudit(
  store: Pick<DocumentStore, 'list'>,
  { after, since, until, max }: AuditSpan,
): Promise<AuditCount> {
  const hours = new Map<EpochSeconds, Counting>()
  const [from, end] = [auditKeyAt(since), auditKeyAt(until)]
  let last = after === undefined || after < from ? from : after
  let isCut = true
  for (let left = max; left > 0;) {
    const limit = Math.min(pageSize, left)
    const page = await store.list({ prefix: 'audit/', after: last, limit })
    const known = page.filter(({ key }) => key < end)
    for (const { value } of known) count(hours, value)
    last = known.at(-1)?.key ?? last
    left -= page.length
    if (known.length < limit) {
      isCut = false
      break
    }
  }
  return { hours: [...hours.values()], countedTo: last, ...(isCut && { cutAt: auditSecondOf(last) }) }
}

interface Counting {
  readonly hour: EpochSeconds
  issued: number
  refused: number
  failed: number
  readonly refusedOf: Record<string, number>
}

const counted = z.object({
  at: instant,
  action: z.string(),
  outcome: z.enum(['issued', 'refused', 'failed']),
  credential: z.exactOptional(z.string()),
  /** Of strangers, by what they came to. */
  requests: z.exactOptional(z.record(z.string(), z.int())),
})

function count(hours: Map<EpochSeconds, Counting>, value: Document): void {
  const parsed = counted.safeParse(value)
  if (!parsed.success) return
  const { at, action, outcome, credential, requests } = parsed.data
  const isStrangers = action === 'requests.unauthenticated'
  if (action !== 'token.exchange' && !isStrangers) return
  const hour = epochSeconds(Math.floor(at / hourSeconds) * hourSeconds)
  const known = hours.get(hour) ?? { hour, issued: 0, refused: 0, failed: 0, refusedOf: {} }
  hours.set(hour, known)
  known[outcome] += isStrangers ? strangers(requests) : 1
  if (outcome !== 'issued' && credential !== undefined)
    known.refusedOf[credential] = (known.refusedOf[credential] ?? 0) + 1
}

function strangers(requests: Readonly<Record<string, number>> = {}): number {
  return Object.entries(requests)
    .filter(([what]) => what.startsWith('token.exchange '))
    .reduce((sum, [, one]) => sum + one, 0)
}
