import { BrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import type { Policy, PolicyWarning } from '../domain/policy.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { PolicyDocument } from '../ports/policy-source.ts'
import type { Policies, PolicyVersion } from '../records/policies.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** What an administrator reads of the policy in force. */
export interface PolicyReading {
  readonly text: string
  readonly revision: string
  readonly origin: string
  readonly loadedAt: EpochSeconds
  /** Why a newer document is not in force. */
  readonly fault?: string
  /** What `apply` has to name in the place of `revision` by whoever has read `fault`, where that document could be read and not understood. */
  readonly latestRevision?: string
}

export interface AppliedPolicy {
  readonly revision: string
  readonly warnings: readonly PolicyWarning[]
}

export interface AdministerPolicyDeps {
  readonly inForce: () => {
    readonly inForce?: { readonly document: PolicyDocument; readonly loadedAt: EpochSeconds }
    readonly lastFault?: { readonly reason: string; readonly revision?: string }
  }
  /**
   * What a document means, and what to warn of. Throws `document_invalid` with every fault and its line, and
   * `store_unavailable`.
   */
  readonly check: (
    document: PolicyDocument,
  ) => Promise<{ readonly policy: Policy; readonly warnings: readonly PolicyWarning[] }>
  /** Why under a policy the caller could not administer any more. */
  readonly lockOut: (proposed: Policy, caller: Caller) => string | undefined
  /** Absent where the policy lies in a file or a setting, and is changed there. */
  readonly policies?: Pick<Policies, 'apply' | 'history' | 'version'>
}

export interface AdministerPolicy {
  /** Throws `policy_unavailable` as long as there never was a good one. */
  readonly read: () => Promise<PolicyReading>
  /** What to warn of. Throws `document_invalid`. */
  readonly validate: (text: string) => Promise<readonly PolicyWarning[]>
  /**
   * Throws `document_invalid`, `changed_meanwhile` unless the policy in force is at `ifMatch` (`undefined`: unless
   * there is none), `would_lock_out` when the caller could administer no more and did not say `force`, and
   * `not_supported` where the policy is not in the store.
   */
  readonly apply: (change: {
    readonly text: string
    readonly ifMatch: string | undefined
    readonly caller: Caller
    readonly force?: boolean
  }) => Promise<AppliedPolicy>
  /** The newest first, 20 at most; none where the policy is not in the store. */
  readonly history: () => Promise<readonly PolicyVersion[]>
  /** Throws `not_found`. */
  readonly version: (revision: string) => Promise<PolicyVersion>
}

/** Reads, checks and replaces the policy in force. Nothing is replaced by a document with a fault (P25). */
export function createAdministerPolicy({
  inForce,
  check,
  lockOut,
  policies,
}: AdministerPolicyDeps): AdministerPolicy {
  const checkText = (text: string) => check({ text, revision: 'proposed', origin: 'policy' })

  return {
    read: async () => {
      const { inForce: loaded, lastFault } = inForce()
      if (loaded === undefined)
        throw new BrokerError('policy_unavailable', { reason: lastFault?.reason ?? 'no policy was read yet' })
      const { text, revision, origin } = loaded.document
      const reading = { text, revision, origin, loadedAt: loaded.loadedAt }
      if (lastFault === undefined) return reading
      const { reason: fault, revision: latestRevision } = lastFault
      return { ...reading, fault, ...omitUndefined({ latestRevision }) }
    },

    validate: async (text) => (await checkText(text)).warnings,

    apply: async (change) => {
      if (policies === undefined)
        throw new BrokerError('not_supported', {
          reason: 'the policy is not in the store',
          publicDetail: 'the policy comes from a file or a setting: change it there',
        })
      const { policy, warnings } = await checkText(change.text)
      const fault = change.force === true ? undefined : lockOut(policy, change.caller)
      if (fault !== undefined)
        throw new BrokerError('would_lock_out', {
          reason: fault,
          publicDetail: `this policy would lock you out: ${fault}; apply it with force=true if that is meant`,
        })
      const by = `${change.caller.issuer}/${change.caller.subject}`
      const { revision } = await policies.apply({ text: change.text, expected: change.ifMatch, by })
      return { revision, warnings }
    },

    history: async () => (await policies?.history()) ?? [],
    version: async (revision) => {
      const version = await policies?.version(revision)
      if (version !== undefined) return version
      const reason = 'the store holds no policy of this revision'
      throw new BrokerError('not_found', { reason, publicDetail: reason })
    },
  }
}
