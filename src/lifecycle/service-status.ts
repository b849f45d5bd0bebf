import type { Blocks, ByHand } from '../domain/blocks.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { inTime } from '../domain/in-time.ts'
import type { EpochSeconds } from '../domain/time.ts'
import { softwareVersion } from '../domain/version.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { AdministerPolicy, PolicyReading } from './administer-policy.ts'

/** How something that serving stands on fares, with the reason for administrators. */
export interface PartStatus {
  readonly ok: boolean
  readonly reason?: string
}

/** How this instance fares: for `doctor`, and for whoever looks after the broker. */
export interface ServiceStatus {
  readonly version: string
  readonly now: EpochSeconds
  readonly issuer: string
  readonly store: PartStatus
  readonly keyRing: PartStatus
  readonly policy: PartStatus & Partial<Pick<PolicyReading, 'revision' | 'origin' | 'loadedAt'>>
  readonly stopped?: ByHand
  readonly blockedCallers: number
  /** By the settings' names; nothing secret among them. */
  readonly settings: Readonly<Record<string, string>>
}

export interface ServiceStatusDeps {
  readonly issuer: string
  readonly store: Pick<DocumentStore, 'get'>
  readonly keyRing: Pick<KeyRing, 'ping'>
  readonly policy: Pick<AdministerPolicy, 'read'>
  readonly blocks: { readonly read: () => Promise<Blocks> }
  readonly clock: Clock
  readonly settings: Readonly<Record<string, string>>
}

const deadlineMs = 2_500

/** Tries everything now and at the same time, and answers within 2.5 s whatever hangs. */
export function createServiceStatus(deps: ServiceStatusDeps): () => Promise<ServiceStatus> {
  const { issuer, store, keyRing, policy, blocks, clock, settings } = deps

  const attempt = async <T>(work: () => Promise<T>): Promise<PartStatus & { readonly found?: T }> => {
    const late = () => new BrokerError('store_unavailable', { reason: `no answer within ${deadlineMs} ms` })
    try {
      return { ok: true, found: await inTime(work(), clock.sleep(deadlineMs), late) }
    } catch (error) {
      if (!isBrokerError(error)) throw error
      return { ok: false, reason: error.reason }
    }
  }

  return async () => {
    const [storeStatus, keyRingStatus, policyStatus, switches] = await Promise.all([
      attempt(() => store.get('probes/status')),
      attempt(() => keyRing.ping()),
      attempt(policy.read),
      attempt(blocks.read),
    ])
    const { found: reading } = policyStatus
    const stopped = switches.found?.stopped
    return {
      version: softwareVersion,
      now: clock.now(),
      issuer,
      store: statusOf(storeStatus.ok ? switches : storeStatus),
      keyRing: statusOf(keyRingStatus),
      policy: reading === undefined ? statusOf(policyStatus) : policyStatusOf(reading),
      ...(stopped === undefined ? {} : { stopped }),
      blockedCallers: switches.found?.callers.length ?? 0,
      settings,
    }
  }
}

function statusOf({ ok, reason }: PartStatus): PartStatus {
  return { ok, ...(reason === undefined ? {} : { reason }) }
}

function policyStatusOf({ revision, origin, loadedAt, fault }: PolicyReading): ServiceStatus['policy'] {
  return {
    ok: fault === undefined,
    revision,
    origin,
    loadedAt,
    ...(fault === undefined ? {} : { reason: fault }),
  }
}
