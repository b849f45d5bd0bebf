import type { CredentialKind, CredentialState, CredentialHealth, CredentialSummary } from './credential.ts'
import { omitUndefined } from './omit-undefined.ts'
import type { RotationStep } from './rotation.ts'
import type { ScopeSet } from './scopes.ts'
import { secondsPerDay, type EpochSeconds } from './time.ts'

/** What maintenance keeps of everything together, so that a page need not read it one by one. */
export interface BrokerSummary {
  readonly at: EpochSeconds
  /** In the order of their names. */
  readonly credentials: readonly CredentialRow[]
  /** Whether there are more credentials than one document holds. */
  readonly isCut: boolean
  /** The last days of the audit trail, an entry for each hour in which there was something. */
  readonly hours: readonly HourCount[]
  /** The key up to which the trail was counted. */
  readonly countedTo?: string
  /** When uses were read, which is done once an hour. */
  readonly usesReadAt?: EpochSeconds
}

export interface CredentialRow {
  readonly name: string
  readonly kind: CredentialKind
  readonly upstream: string
  /** Whose account it is, or who it is upstream. */
  readonly account: string
  readonly state: CredentialState
  readonly health: CredentialHealth['status']
  /** Those that were consented to; none for a key. */
  readonly scopes: ScopeSet
  /** The day of the last use. */
  readonly lastUsed?: EpochSeconds
  /** Since when its secret is the one it is. */
  readonly rotatedAt: EpochSeconds
  readonly endsAt?: EpochSeconds
  readonly rotation?: RotationStep
  /** Since when it stands at that step. */
  readonly rotationSince?: EpochSeconds
  /** Why its rotation does not go on. */
  readonly stuck?: string
}

export interface HourCount {
  readonly hour: EpochSeconds
  readonly issued: number
  readonly refused: number
  readonly failed: number
  /** Refusals and failures by credential, of so many as one hour keeps. */
  readonly refusedOf: Readonly<Record<string, number>>
}

export const failuresOfStuck = 3

export function rowOf(credential: CredentialSummary, lastUsed: EpochSeconds | undefined): CredentialRow {
  const { rotation, versions, version } = credential
  const active = versions.find(({ id }) => id === version)
  const isStuck = rotation !== undefined && rotation.failures >= failuresOfStuck
  return {
    name: credential.name,
    kind: credential.kind,
    upstream: credential.upstream,
    account: credential.account?.name ?? credential.identity,
    state: credential.state,
    health: credential.health.status,
    scopes: credential.consentedScopes ?? [],
    rotatedAt: active?.createdAt ?? credential.createdAt,
    ...omitUndefined({
      lastUsed,
      endsAt: credential.expiresAt,
      rotation: rotation?.step,
      rotationSince: rotation?.since,
      stuck: isStuck ? (rotation.reason ?? 'it fails again and again') : undefined,
    }),
  }
}

/** Why a credential wants somebody's attention, the worst first. */
export type Attention = 'broken' | 'rotation_stuck' | 'ends_soon' | 'refused_often'

const soonDays = 14
const oftenPerDay = 20

export function attentionOf(
  row: CredentialRow,
  { now, refusedToday }: { readonly now: EpochSeconds; readonly refusedToday: number },
): Attention | undefined {
  if (row.state === 'revoked') return undefined
  if (row.health === 'broken') return 'broken'
  if (row.stuck !== undefined) return 'rotation_stuck'
  if (row.endsAt !== undefined && row.endsAt - now < soonDays * secondsPerDay) return 'ends_soon'
  return refusedToday >= oftenPerDay ? 'refused_often' : undefined
}
