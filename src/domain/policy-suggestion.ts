import type { EpochSeconds } from './time.ts'

/** What the policy could lose and still have served every request of the days looked at. */
export interface PolicySuggestion {
  readonly days: number
  /** The first day of which anything is known; later than asked for, it says that the suggestion knows less. */
  readonly observedSince?: EpochSeconds
  /** Every rule, in the order of the policy. */
  readonly rules: readonly RuleSuggestion[]
  /** Enrolled, and no rule drew on them. */
  readonly unusedCredentials: readonly string[]
}

export interface RuleSuggestion {
  readonly rule: string
  readonly credential: string
  readonly advice: 'keep' | 'narrow' | 'remove'
  /** The last day on which it gave anything. */
  readonly lastUsed?: EpochSeconds
  readonly changes: readonly RuleChange[]
  /** Why more cannot be said. */
  readonly notes: readonly string[]
}

/** The members of a rule that can say less. */
export const ruleMembers = ['scopes', 'token_types', 'subjects', 'id_token_audiences'] as const

export interface RuleChange {
  readonly member: (typeof ruleMembers)[number]
  readonly now: readonly string[]
  readonly enough: readonly string[]
}
