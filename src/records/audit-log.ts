import type { AuditOutcome, AuditRecord } from '../domain/audit-record.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { Json } from '../domain/caller.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { secondsPerDay, epochSeconds, later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { AuditTrail } from '../ports/log.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Document, DocumentStore } from '../ports/document-store.ts'

export interface StoredAuditTrailDeps {
  readonly store: DocumentStore
  readonly clock: Clock
  readonly background: Background
  readonly newId: () => string
  readonly keepDays: number
  /** The record in the form in which it is written everywhere. */
  readonly membersOf: (record: AuditRecord) => Readonly<Record<string, Json | undefined>>
  /** False on Workers, where nothing goes on between requests. */
  readonly sharesWork: boolean
}

/**
 * The trail of decisions kept in the store, for `keepDays` days; ids sort by time. Of requests whose caller is unknown
 * it keeps what they came to, a record a minute for each outcome: strangers fill no store (P24).
 */
export function createStoredAuditTrail(deps: StoredAuditTrailDeps): AuditTrail {
  const keep = createKeep(deps)
  const count = createCountStrangers(deps, keep)
  return async (record) => {
    if (record.caller === undefined && record.error !== undefined) {
      count(record, record.error)
      return
    }
    const { requestId } = record
    await keep({
      requestId,
      at: record.at,
      document: { schema: 1, ...omitUndefined(deps.membersOf(record)) },
    })
  }
}

interface KeptRecord {
  readonly requestId: string
  readonly at: EpochSeconds
  readonly document: Document
}

type Keep = (kept: KeptRecord) => Promise<void>

/** What one instance keeps of one second stands in the order in which it was decided. */
function createKeep({ store, keepDays }: StoredAuditTrailDeps): Keep {
  let count = 0
  return async ({ requestId, at, document }) => {
    count += 1
    const key = `${auditKeyAt(at)}-${String(count).padStart(9, '0')}-${requestId}`
    const expiresAt = later(at, seconds(keepDays * secondsPerDay))
    const written = await store.put(key, document, { if: 'absent', expiresAt })
    if (written === undefined)
      throw new BrokerError('audit_unavailable', { reason: `the audit record ${key} was there already` })
  }
}

const countedMs = 60_000

interface Minute {
  readonly startedMs: number
  readonly startedAt: EpochSeconds
  /** By outcome, then by action and error, all of closed sets. */
  readonly counts: Map<AuditOutcome, Map<string, number>>
}

/** The log has each of them; what is counted reaches the store a minute later, or on Workers with a later request. */
function createCountStrangers(
  deps: StoredAuditTrailDeps,
  keep: Keep,
): (record: AuditRecord, error: string) => void {
  const { clock, background, newId, sharesWork } = deps
  let open: Minute | undefined

  const write = async ({ startedAt, counts }: Minute): Promise<void> => {
    for (const [outcome, requests] of counts) {
      const requestId = newId()
      const document = {
        schema: 1,
        request_id: requestId,
        at: startedAt,
        action: 'requests.unauthenticated',
        outcome,
        requests: Object.fromEntries(requests),
      }
      await keep({ requestId, at: startedAt, document })
    }
  }
  const close = (minute: Minute): void => {
    if (open !== minute) return
    open = undefined
    background.run(() => write(minute))
  }

  return ({ outcome, action }, error) => {
    if (open !== undefined && clock.steadyMs() - open.startedMs >= countedMs) close(open)
    if (open === undefined) {
      const minute = { startedMs: clock.steadyMs(), startedAt: clock.now(), counts: new Map() }
      open = minute
      if (sharesWork) void clock.sleep(countedMs).then(() => close(minute))
    }
    const requests = open.counts.get(outcome) ?? new Map<string, number>()
    const what = `${action} ${error}`
    open.counts.set(outcome, requests.set(what, (requests.get(what) ?? 0) + 1))
  }
}

/** Sorts before the records of that second, which have a number and the request id behind it, and after all earlier ones. */
export function auditKeyAt(second: number): string {
  return `audit/${String(second).padStart(12, '0')}`
}

export function auditSecondOf(key: string): EpochSeconds {
  return epochSeconds(Number(key.slice('audit/'.length, auditKeyAt(0).length)))
}

/** Writes to every trail; the record counts as written when all have it. Else it throws `audit_unavailable`. */
export function createAuditTrails(trails: readonly AuditTrail[]): AuditTrail {
  return async (record) => {
    try {
      await Promise.all(trails.map((trail) => trail(record)))
    } catch (cause) {
      refuse(record, cause)
    }
  }
}

function refuse({ action, outcome, error }: AuditRecord, cause: unknown): never {
  const why = isBrokerError(cause) ? cause.reason : 'a bug in the audit trail'
  const reason = `no audit record of ${action} (${error ?? outcome}): ${why}`
  throw new BrokerError('audit_unavailable', { reason, retryAfter: seconds(1), cause })
}
