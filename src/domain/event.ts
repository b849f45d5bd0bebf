import type { AuditAction, AuditRecord } from './audit-record.ts'
import type { CredentialHealth, CredentialSummary, HealthSpan } from './credential.ts'
import { omitUndefined } from './omit-undefined.ts'
import { formatOptional, formatTimestamp, seconds, type EpochSeconds, type Seconds } from './time.ts'
import { failuresOfStuck } from './summary.ts'

export const eventTypes = [
  'credential.broken',
  'credential.recovered',
  'credential.ends_soon',
  'rotation.stuck',
  'rotation.done',
  'kill_switch.used',
  'policy.replaced',
  'sign_in.refused_often',
] as const

export type EventType = (typeof eventTypes)[number]

/** What is known of an event; each type has some of it, and none of it is a secret. */
export interface EventData {
  readonly credential?: string
  readonly version?: string
  readonly reason?: string
  readonly endsAt?: EpochSeconds
  /** How many days before its end, or fewer: 30, 7 or 1. */
  readonly days?: number
  /** Where a rotation stands. */
  readonly step?: string
  /** What was done by hand, as the audit trail calls it, and by whom: `ISSUER/SUBJECT`. */
  readonly action?: string
  readonly by?: string
  /** Whom it was done to, likewise. */
  readonly caller?: string
  readonly revision?: string
  readonly formerRevision?: string
  readonly count?: number
}

/** What happened, as whoever noticed it knows it. */
export interface Fact {
  readonly type: EventType
  /** The same for everybody who notices the same; with the type it makes one event of it within `onceIn`. */
  readonly key: readonly string[]
  /** Absent: as long as events are kept. */
  readonly onceIn?: Seconds
  readonly data: EventData
}

/** A fact that was recorded, once. */
export interface BrokerEvent {
  /** `webhook-id` of each delivery. */
  readonly id: string
  readonly type: EventType
  /** When it was noticed first. */
  readonly at: EpochSeconds
  readonly data: EventData
}

export const deliveryStates = ['pending', 'delivered', 'given_up'] as const

export interface EventDelivery {
  readonly state: (typeof deliveryStates)[number]
  readonly attempts: number
  /** Why the last attempt failed. */
  readonly reason?: string
}

export interface EventMembers {
  readonly type: EventType
  readonly timestamp: string
  readonly data: Readonly<Record<string, string | number>>
}

/** An event as a log line, the webhook and the admin API have it (Standard Webhooks, "Payload structure"). */
export function eventMembers({ type, at, data }: Omit<BrokerEvent, 'id'>): EventMembers {
  const { endsAt, formerRevision, ...same } = data
  return {
    type,
    timestamp: formatTimestamp(at),
    data: omitUndefined({
      ...same,
      ends_at: formatOptional(endsAt),
      former_revision: formerRevision,
    }),
  }
}

/** A credential that broke, or is not broken any more. */
export function healthFact(credential: string, health: CredentialHealth): Fact {
  const { status, reason } = health
  const type = status === 'broken' ? 'credential.broken' : 'credential.recovered'
  const key = [credential, String(turnedAt(health))]
  return { type, key, data: { credential, ...omitUndefined({ reason }) } }
}

/** Since when it has been broken, or has not: with another reason it did not break again. */
function turnedAt({ status, since, history = [] }: CredentialHealth): EpochSeconds {
  const isOther = (span: HealthSpan) => (span.status === 'broken') !== (status === 'broken')
  const turn = history.findIndex(isOther)
  return history.slice(0, turn === -1 ? history.length : turn).at(-1)?.since ?? since
}

/** A policy outside of the store, as each instance sees it at its own time; the same change may come again an hour later. */
export function replacedPolicyFact(
  former: { readonly text: string; readonly revision: string },
  now: { readonly text: string; readonly revision: string },
): Fact {
  const data = { revision: now.revision, formerRevision: former.revision }
  return { type: 'policy.replaced', key: [former.text, now.text], onceIn: seconds(3_600), data }
}

/** What people did and others should know of. */
export function factOfAct(record: AuditRecord): Fact | undefined {
  const { action, outcome, requestId, issuer, caller, target, policyRevision, formerPolicyRevision } = record
  if (outcome !== 'done') return undefined
  const by = `${issuer}/${caller}`
  if (action === 'policy.apply') {
    const revisions = { revision: policyRevision, formerRevision: formerPolicyRevision }
    return { type: 'policy.replaced', key: [requestId], data: { by, ...omitUndefined(revisions) } }
  }
  if (!killSwitchActions.has(action)) return undefined
  const data = { action, by, ...omitUndefined({ caller: target }) }
  return { type: 'kill_switch.used', key: [requestId], data }
}

const killSwitchActions: ReadonlySet<AuditAction> = new Set<AuditAction>([
  'service.stop',
  'service.resume',
  'caller.revoke',
  'caller.restore',
])

/**
 * What can be seen of a credential alone: that it broke, or ends soon, since `since`, and that its rotation does not go
 * on. Once for each threshold and version: the end of a token that is renewed whenever it is used moves all the time.
 */
export function factsOf(
  credential: CredentialSummary,
  { now, since = 0 }: { readonly now: EpochSeconds; readonly since?: number | undefined },
): readonly Fact[] {
  const { name, state, health, rotation, version, versions, expiresAt: endsAt } = credential
  if (state !== 'enabled') return []
  const facts: Fact[] = []
  if (health.status === 'broken' && turnedAt(health) > since) facts.push(healthFact(name, health))
  const days = endsAt === undefined ? undefined : thresholdDays.find((count) => endsAt - now <= daysOf(count))
  if (endsAt !== undefined && endsAt > now && days !== undefined) {
    const createdAt = versions.find(({ id }) => id === version)?.createdAt ?? now
    if (Math.max(createdAt, endsAt - daysOf(days)) > since)
      facts.push({
        type: 'credential.ends_soon',
        key: [name, version, String(days)],
        data: { credential: name, version, days, endsAt },
      })
  }
  if (rotation !== undefined && rotation.failures >= failuresOfStuck && now - rotation.since >= stuckAfter)
    facts.push({
      type: 'rotation.stuck',
      key: [name, rotation.id, rotation.step],
      data: { credential: name, step: rotation.step, ...omitUndefined({ reason: rotation.reason }) },
    })
  return facts
}

const thresholdDays = [1, 7, 30] as const
/** Google's servers may take minutes to know a new key. */
const stuckAfter = seconds(3_600)

function daysOf(count: number): Seconds {
  return seconds(count * 86_400)
}
