import * as z from 'zod/mini'
import type { AuditOutcome } from '../domain/audit-record.ts'
import { epochSeconds, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Document, DocumentStore, Stored } from '../ports/document-store.ts'
import { auditKeyAt } from './audit-log.ts'
import { instant } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** What a record has to have; each member that is there is compared exactly. */
export interface AuditFilter {
  readonly caller?: string
  readonly issuer?: string
  readonly rule?: string
  readonly credential?: string
  readonly outcome?: AuditOutcome
  readonly action?: string
  readonly requestId?: string
  /** From this instant on. */
  readonly since?: EpochSeconds
  /** Before this instant. */
  readonly until?: EpochSeconds
  /** Leaves out what was only read by administrators. */
  readonly withoutReads?: boolean
}

export interface AuditQuestion {
  readonly filter: AuditFilter
  /** Only records before the one at this place. */
  readonly before?: string
  readonly limit: number
}

export interface AuditPage {
  /** As they are stored, newest first. */
  readonly records: readonly Document[]
  /** The place where the next page goes on; absent at the end of the trail. */
  readonly place?: string
  /** Whether all there is was looked at, as far as the page goes: else there may be more behind `place`. */
  readonly isComplete: boolean
}

export type ReadAudit = (question: AuditQuestion) => Promise<AuditPage>

/** Documents read for one answer. */
const readMax = 10_000
/** Documents in one list: a page without a filter reads few. */
const listMax = { plain: 100, filtered: 500 }
const firstSpan = 1_000

export interface ReadAuditDeps {
  readonly store: Pick<DocumentStore, 'list'>
  readonly clock: Pick<Clock, 'now'>
}

/**
 * The trail in the store, newest first. Stores list by ascending key alone, and keys begin with the time: so spans of
 * time are walked backwards, ten times as long after one that was empty, and each is turned round in memory. A span that
 * fills a list is walked by its tenths. May throw `store_unavailable`.
 */
export function createReadAudit({ store, clock }: ReadAuditDeps): ReadAudit {
  return async ({ filter, before, limit }) => {
    const walk = createWalk(store, Object.keys(filter).length === 0 ? listMax.plain : listMax.filtered)
    const end = filter.until ?? epochSeconds(clock.now() + firstSpan)
    const top = least(before, digitsOf(end))
    const records: Document[] = []
    let place: string | undefined
    for await (const { id, value } of walk.newestFirst({ top, bottom: digitsOf(filter.since ?? 0) })) {
      if (matches(value, filter)) {
        if (records.length === limit) return { records, ...omitUndefined({ place }), isComplete: true }
        records.push(withoutSchema(value))
      }
      place = id
    }
    const isCut = walk.isSpent()
    return { records, ...(isCut && omitUndefined({ place })), isComplete: !isCut }
  }
}

interface Bounds {
  /** Exclusive, a key without its collection. */
  readonly top: string
  /** Inclusive. */
  readonly bottom: string
}

interface Placed {
  readonly id: string
  readonly value: Document
}

function createWalk(store: ReadAuditDeps['store'], size: number) {
  let read = 0
  let hasGiven = false
  const isSpent = () => read >= readMax
  const list = async (prefix: string, after?: string, limit = size): Promise<readonly Stored[]> => {
    const found = await store.list({ prefix: `${collection}${prefix}`, after, limit })
    read += found.length
    return found
  }

  /** Everything whose id begins with that, newest first; `onSeen` is called if there is anything. */
  async function* descend(prefix: string, bounds: Bounds, onSeen: () => void): AsyncGenerator<Placed> {
    const { top, bottom } = bounds
    if (isSpent() || prefix > top.slice(0, prefix.length) || prefix < bottom.slice(0, prefix.length)) return
    const found = [...(await list(prefix))]
    if (found.length > 0) onSeen()
    if (found.length === size && prefix.length < digits) {
      for (const digit of '9876543210') yield* descend(prefix + digit, bounds, onSeen)
      return
    }
    // One second, which has no parts: all of it, or nothing where the rest is another answer's.
    for (let more = found; more.length === size; found.push(...more)) {
      if (isSpent() && hasGiven) return
      more = [...(await list(prefix, found.at(-1)?.key))]
    }
    for (const { key, value } of found.toReversed()) {
      const id = key.slice(collection.length)
      if (id >= top || id < bottom) continue
      hasGiven = true
      yield { id, value }
    }
  }

  async function* newestFirst(bounds: Bounds): AsyncGenerator<Placed> {
    const oldest = (await list('', undefined, 1))[0]?.key.slice(collection.length) ?? bounds.top
    const bottom = oldest > bounds.bottom ? oldest : bounds.bottom
    let end = Math.ceil((secondOf(bounds.top) + 1) / firstSpan) * firstSpan
    let span = firstSpan
    while (end > secondOf(bottom) && !isSpent()) {
      while (end % span !== 0) span /= 10
      const start = end - span
      const prefix = digitsOf(start).slice(0, digits - Math.round(Math.log10(span)))
      let isEmpty = true
      yield* descend(prefix, { top: bounds.top, bottom }, () => (isEmpty = false))
      if (isEmpty && start % (span * 10) === 0) span *= 10
      end = start
    }
  }

  return { newestFirst, isSpent }
}

const collection = 'audit/'
const digits = auditKeyAt(0).length - collection.length

function digitsOf(second: number): string {
  return auditKeyAt(second).slice(collection.length)
}

function secondOf(id: string): number {
  return Number(id.slice(0, digits))
}

function least(one: string | undefined, other: string): string {
  return one === undefined || one > other ? other : one
}

const aboutRecord = z.looseObject({ at: instant, action: z.string(), outcome: z.string() })

/** What is no record of a decision matches nothing. */
function matches(value: Document, filter: AuditFilter): boolean {
  const parsed = aboutRecord.safeParse(value)
  if (!parsed.success) return false
  const wanted = {
    caller: filter.caller,
    issuer: filter.issuer,
    rule: filter.rule,
    credential: filter.credential,
    outcome: filter.outcome,
    action: filter.action,
    request_id: filter.requestId,
  }
  if (filter.withoutReads === true && readingActions.test(parsed.data.action)) return false
  return Object.entries(wanted).every(([name, want]) => want === undefined || value[name] === want)
}

const readingActions = /\.(?:read|list|whoami|validate|explain|suggest)$/

function withoutSchema(value: Document): Document {
  const { schema: _, ...members } = value
  return members
}
