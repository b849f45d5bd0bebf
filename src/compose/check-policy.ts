import { parsePolicy } from '../authorize/parse-policy.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import type { Policy } from '../domain/policy.ts'

export type PolicyJudgement =
  | { readonly ok: true; readonly policy: Policy }
  /** Each begins with the place, as editors jump to it: `policy.yaml:12:5`. */
  | { readonly ok: false; readonly faults: readonly string[] }

/** A document judged as the broker would, without one. `origin` is what its places begin with. */
export function checkPolicy(text: string, origin: string, brokerIssuer: string): PolicyJudgement {
  try {
    const policy = parsePolicy({ text, revision: 'proposed', origin: `file ${origin}` }, { brokerIssuer })
    return { ok: true, policy }
  } catch (error) {
    if (!isBrokerError(error) || error.code !== 'document_invalid') throw error
    return { ok: false, faults: error.reason.split('\n') }
  }
}
