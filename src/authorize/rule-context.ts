import type { CredentialSummary } from '../domain/credential.ts'
import type { Policy, Rule } from '../domain/policy.ts'
import type { Path, Report } from './policy-faults.ts'

/** A rule that is looked at, and what is known of its credential. */
export interface RuleContext {
  readonly policy: Policy
  readonly rule: Rule
  readonly credential?: CredentialSummary
  readonly path: Path
  readonly warn: Report
  readonly pathOfScope: (scope: string) => Path
}
