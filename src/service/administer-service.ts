import type { BlockedCaller, BlockedBy, Blocks } from '../domain/blocks.ts'
import { BrokerError, invalidDocument, isBrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import type { BlocksRecord, CallerName } from '../records/blocks.ts'
import { withDeadline } from '../domain/promises.ts'
import type { EpochSeconds } from '../domain/time.ts'
import { softwareVersion } from '../domain/version.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { AdministerPolicy, PolicyReading } from '../policy/administer-policy.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface AdministerServiceDeps {
  readonly blocks: BlocksRecord
  /** Throws `policy_unavailable`. */
  readonly issuers: () => Promise<readonly TrustedIssuer[]>
  /** Throws `admin_forbidden`. */
  readonly mayBlock: (named: CallerName, by: Caller) => Promise<void>
}

/** The kill switch, for everything and for single callers. Every act but letting somebody in may be repeated. */
export interface AdministerService {
  readonly stop: (by: Caller) => Promise<BlockedBy | undefined>
  readonly resume: () => Promise<BlockedBy | undefined>
  readonly blockedCallers: () => Promise<readonly BlockedCaller[]>
  /**
   * By the exact `iss` or the policy's name for it. Throws `document_invalid` for an issuer that the policy does not
   * know, because a typing error would block nobody, `state_conflict` for oneself or a full list, and
   * `admin_forbidden` for a caller that this administrator may not block.
   */
  readonly blockCaller: (caller: CallerName, by: Caller) => Promise<BlockedCaller>
  /**
   * The caller that was unblocked, by the exact `iss` of the block. Throws `not_found` if no caller of that name was
   * blocked, because a typing error would unblock nobody.
   */
  readonly unblockCaller: (caller: CallerName) => Promise<CallerName>
}

export function createAdministerService({
  blocks,
  issuers,
  mayBlock,
}: AdministerServiceDeps): AdministerService {
  const issuerOf = async (text: string): Promise<string | undefined> => {
    const known = await issuers()
    return (known.find(({ issuer }) => issuer === text) ?? known.find(({ name }) => name === text))?.issuer
  }

  return {
    stop: async (by) => (await blocks.stop(nameOf(by))).stopped,
    resume: async () => (await blocks.resume()).stopped,
    blockedCallers: async () => (await blocks.read()).callers,
    blockCaller: async ({ issuer: text, subject }, by) => {
      const issuer = await issuerOf(text)
      if (issuer === undefined)
        throw invalidDocument([
          `issuer: the policy trusts no issuer ${quote(text)}, and nobody of it gets a token`,
        ])
      if (issuer === by.issuer && subject === by.subject)
        throw new BrokerError('state_conflict', {
          reason: 'callers cannot block themselves',
          publicDetail: 'you would lock yourself out: let another administrator do it',
        })
      await mayBlock({ issuer, subject }, by)
      return blocks.block({ issuer, subject }, nameOf(by), by)
    },
    unblockCaller: async ({ issuer, subject }) => {
      // As it was written down first: its issuer may have left the policy since.
      if (await blocks.unblock({ issuer, subject })) return { issuer, subject }
      const named = { issuer: (await issuerOf(issuer)) ?? issuer, subject }
      if (named.issuer !== issuer && (await blocks.unblock(named))) return named
      const reason = `no caller ${quote(subject)} of ${quote(named.issuer)} is blocked`
      throw new BrokerError('not_found', { reason, publicDetail: reason })
    },
  }
}

function nameOf({ issuer, subject }: Caller): string {
  return `${issuer}/${subject}`
}

/** Whether one thing that requests depend on works, with the reason for administrators. */
export interface PartStatus {
  readonly ok: boolean
  readonly reason?: string
}

/** How an upstream answered this instance last. */
export interface UpstreamStatus extends PartStatus {
  readonly name: string
  /** When it answered last; of one that does not, when it was first seen so. */
  readonly at: EpochSeconds
}

/** The status of this instance, for `doctor` and for administrators. */
export interface ServiceStatus {
  readonly version: string
  readonly now: EpochSeconds
  readonly issuer: string
  readonly store: PartStatus
  readonly keyRing: PartStatus
  readonly policy: PartStatus & Partial<Pick<PolicyReading, 'revision' | 'origin' | 'loadedAt'>>
  /** Those that were asked since it began, by name. */
  readonly upstreams: readonly UpstreamStatus[]
  readonly stopped?: BlockedBy
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
  readonly upstreams: () => readonly UpstreamStatus[]
  readonly clock: Clock
  readonly settings: Readonly<Record<string, string>>
}

const deadlineMs = 2_500

/** Tries everything now and at the same time, and answers within 2.5 s whatever hangs. */
export function createServiceStatus(deps: ServiceStatusDeps): () => Promise<ServiceStatus> {
  const { issuer, store, keyRing, policy, blocks, upstreams, clock, settings } = deps

  const attempt = async <T>(work: () => Promise<T>): Promise<PartStatus & { readonly found?: T }> => {
    const late = () => new BrokerError('store_unavailable', { reason: `no answer within ${deadlineMs} ms` })
    try {
      return { ok: true, found: await withDeadline(work(), clock.sleep(deadlineMs), late) }
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
      upstreams: upstreams(),
      ...omitUndefined({ stopped }),
      blockedCallers: switches.found?.callers.length ?? 0,
      settings,
    }
  }
}

function statusOf({ ok, reason }: PartStatus): PartStatus {
  return { ok, ...omitUndefined({ reason }) }
}

function policyStatusOf({ revision, origin, loadedAt, fault }: PolicyReading): ServiceStatus['policy'] {
  return {
    ok: fault === undefined,
    revision,
    origin,
    loadedAt,
    ...omitUndefined({ reason: fault }),
  }
}
