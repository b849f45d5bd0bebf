import { checkPolicy } from '../authorize/check-policy.ts'
import { readPolicy } from '../authorize/parse-policy.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { PolicyWarning } from '../domain/policy-warning.ts'
import type { Policy } from '../domain/policy.ts'

export interface PolicyToJudge {
  readonly text: string
  /** What the places of faults begin with. */
  readonly origin: string
  /** Tells which audience is the default; where that does not matter, any URL will do. */
  readonly brokerIssuer?: string | undefined
  /** All that are enrolled, as far as that is known. */
  readonly credentials?: readonly CredentialSummary[]
}

export type PolicyJudgement =
  | { readonly ok: true; readonly policy: Policy; readonly warnings: readonly PolicyWarning[] }
  /** Each begins with the place, as editors jump to it: `policy.yaml:12:5`. */
  | { readonly ok: false; readonly faults: readonly string[] }

/** A document judged as the broker would, without one. */
export function judgePolicy(policy: PolicyToJudge): PolicyJudgement {
  const { text, origin, brokerIssuer = 'http://127.0.0.1', credentials } = policy
  try {
    const read = readPolicy({ text, revision: 'proposed', origin: `file ${origin}` }, { brokerIssuer })
    return { ok: true, policy: read.policy, warnings: checkPolicy(read, credentials) }
  } catch (error) {
    if (!isBrokerError(error) || error.code !== 'document_invalid') throw error
    return { ok: false, faults: error.reason.split('\n') }
  }
}
