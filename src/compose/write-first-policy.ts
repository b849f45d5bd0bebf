import { readSettings, type Environment } from '../config.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import { createPolicies, type Policies } from '../records/policies.ts'
import { judgePolicy, type PolicyJudgement } from './judge-policy.ts'
import { createNodePlatform } from './node-platform.ts'

export type Written = PolicyJudgement & { readonly revision?: string }

/**
 * Puts a policy into the store that the settings name, beside the broker: an empty store has no policy yet that would
 * make anybody an administrator. Nothing is written of a document with a fault. Throws what a broker cannot start
 * with, and `changed_meanwhile` when another policy came in between.
 */
export async function writeFirstPolicy(text: string, origin: string, env: Environment): Promise<Written> {
  const settings = readSettings(env)
  const judgement = judgePolicy({ text, origin, brokerIssuer: settings.issuer })
  if (!judgement.ok) return judgement
  const { store, clock, entropy, close } = createNodePlatform(settings)
  try {
    const policies = createPolicies({ store, clock, newId: () => entropy.uuid() })
    const expected = await revisionNow(policies)
    const { revision } = await policies.apply({ text, expected, by: 'downscope policy apply --store' })
    return { ...judgement, revision }
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
