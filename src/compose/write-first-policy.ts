import { readSettings } from '../config.ts'
import type { Environment } from '../config/setting.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import { createPolicies, type Policies } from '../records/policies.ts'
import { judgePolicy, type PolicyJudgement } from '../policy/policy-warnings.ts'
import { createNodePlatform } from './node-platform.ts'

export type Written =
  | {
      readonly outcome: 'written'
      readonly revision: string
      readonly replaced: string | undefined
      readonly judgement: Extract<PolicyJudgement, { readonly ok: true }>
    }
  | { readonly outcome: 'invalid'; readonly judgement: PolicyJudgement & { ok: false } }
  /** Nothing was written over it. */
  | { readonly outcome: 'there_is_one'; readonly revision: string }

export interface FirstPolicy {
  readonly text: string
  /** What the places of faults begin with. */
  readonly origin: string
  /** Also over a policy that is there, whoever is an administrator by it. */
  readonly mayReplace: boolean
}

/**
 * Puts a policy into the store that the settings name, beside the broker: an empty store has no policy yet that would
 * make anybody an administrator. Nothing is written of a document with a fault. Throws what a broker cannot start
 * with, and `changed_meanwhile` when another policy came in between.
 */
export async function writeFirstPolicy(first: FirstPolicy, env: Environment): Promise<Written> {
  const { text, origin, mayReplace } = first
  const settings = readSettings(env)
  const judgement = judgePolicy({ text, origin, brokerIssuer: settings.issuer })
  if (!judgement.ok) return { outcome: 'invalid', judgement }
  const { store, clock, entropy, close } = createNodePlatform(settings)
  try {
    const policies = createPolicies({ store, clock, newId: () => entropy.uuid() })
    const replaced = await revisionNow(policies)
    if (replaced !== undefined && !mayReplace) return { outcome: 'there_is_one', revision: replaced }
    const by = 'downscope policy apply --store'
    const { revision } = await policies.apply({ text, expected: replaced, by })
    return { outcome: 'written', revision, replaced, judgement }
  } finally {
    await close()
  }
}

async function revisionNow(policies: Policies): Promise<string | undefined> {
  try {
    return (await policies.read())?.revision
  } catch (error) {
    if (isBrokerError(error) && error.code === 'policy_unavailable') return undefined
    throw error
  }
}
