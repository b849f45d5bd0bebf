import type { Policy, Rule, PolicySuggestion, RuleChange, RuleSuggestion } from '../domain/policy.ts'
import type { RuleDay, RuleUses } from '../records/rule-uses.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import { secondsPerDay, later, seconds, until } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import { listAllCredentials, type Credentials } from '../records/credentials.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface SuggestPolicyDeps {
  readonly policy: () => Promise<{ readonly policy: Policy }>
  readonly ruleUses: Pick<RuleUses, 'since'>
  readonly credentials: Pick<Credentials, 'list'>
  /** Whether a pattern of `subjects` takes that user. */
  readonly matchText: (pattern: string) => (text: string) => boolean
  /** The least that would still have given all that was used, in the rule's own words. */
  readonly enoughScopes: (scopes: {
    readonly written: ScopeSet
    readonly used: ScopeSet
    readonly upstream: string
    readonly givesImplied: boolean
  }) => ScopeSet
  readonly clock: Pick<Clock, 'now'>
}

/**
 * Least privilege from use: what was asked for and issued, never what was then done with it upstream, which only the
 * upstream knows. A rule of which a caller asked for everything keeps everything. Throws `policy_unavailable` and `store_unavailable`.
 */
export function createSuggestPolicy(deps: SuggestPolicyDeps): (days: number) => Promise<PolicySuggestion> {
  return async (days) => {
    const { policy } = await deps.policy()
    const from = later(deps.clock.now(), seconds(-days * secondsPerDay))
    const rules = policy.rules.map(({ name: rule, credential }) => ({ rule, credential }))
    const uses = await deps.ruleUses.since(from, rules)
    const observedSince = uses[0]?.day
    const used = new Set(uses.map(({ credential }) => credential))
    const enrolled = await listAllCredentials(deps.credentials)
    const upstreams = new Map(enrolled.map(({ name, upstream }) => [name, upstream]))
    return {
      days,
      ...omitUndefined({ observedSince }),
      rules: policy.rules.map((rule) => {
        const upstream = upstreams.get(rule.credential) ?? ''
        return suggestRule(rule, usesOf(rule, uses), { ...deps, upstream })
      }),
      unusedCredentials: enrolled.map(({ name }) => name).filter((name) => !used.has(name)),
    }
  }
}

function usesOf(rule: Rule, uses: readonly RuleDay[]): readonly RuleDay[] {
  return uses.filter((use) => use.rule === rule.name && use.credential === rule.credential)
}

interface Comparing extends Pick<SuggestPolicyDeps, 'matchText' | 'enoughScopes'> {
  /** Of the rule's credential; empty when it is not enrolled. */
  readonly upstream: string
}

function suggestRule(rule: Rule, uses: readonly RuleDay[], comparing: Comparing): RuleSuggestion {
  const about = { rule: rule.name, credential: rule.credential }
  const last = uses.reduce<RuleDay | undefined>(
    (latest, use) => (latest === undefined || until(use.day, latest.day) > 0 ? use : latest),
    undefined,
  )
  if (last === undefined) return { ...about, advice: 'remove', changes: [], notes: [] }
  const changes = changesOf(rule, uses, comparing)
  return {
    ...about,
    advice: changes.length === 0 ? 'keep' : 'narrow',
    lastUsed: last.day,
    changes,
    notes: notesOf(rule, uses),
  }
}

function changesOf(
  rule: Rule,
  uses: readonly RuleDay[],
  { matchText, enoughScopes, upstream }: Comparing,
): readonly RuleChange[] {
  const union = (of: (use: RuleDay) => readonly string[]) => [...new Set(uses.flatMap(of))].toSorted()
  const isCut = uses.some((use) => use.isCut)
  const tokenTypes = union((use) => use.tokenTypes)
  const givesAccess = tokenTypes.includes('access_token')
  const subjects = union((use) => use.subjects)
  const audiences = union((use) => use.audiences)
  const isAll = uses.some((use) => use.wantedAll) || isCut
  const used = union((use) => use.scopes)
  const scopes = isAll ? rule.scopes : enoughScopes({ ...rule, written: rule.scopes, used, upstream })
  const change = (member: RuleChange['member'], now: readonly string[], enough: readonly string[]) =>
    isSame(now, enough) ? [] : [{ member, now, enough }]
  return [
    ...change(
      'token_types',
      rule.tokenTypes,
      rule.tokenTypes.filter((type) => tokenTypes.includes(type)),
    ),
    ...change('scopes', rule.scopes, givesAccess ? scopes : []),
    ...(isCut
      ? []
      : [
          ...change(
            'subjects',
            rule.subjects,
            rule.subjects.filter((pattern) => subjects.some(matchText(pattern))),
          ),
          ...change(
            'id_token_audiences',
            rule.idTokenAudiences,
            rule.idTokenAudiences.filter((audience) => audiences.includes(audience)),
          ),
        ]),
  ]
}

function notesOf({ scopes }: Rule, uses: readonly RuleDay[]): readonly string[] {
  const notes: string[] = []
  if (scopes.length > 1 && uses.some((use) => use.wantedAll))
    notes.push('somebody asked for every scope of the rule: callers that name what they need can be narrowed')
  if (uses.some((use) => use.isCut))
    notes.push('not every use is known: they were too many, or a record of them cannot be read')
  const resources = new Set(uses.flatMap((use) => use.resources))
  if (resources.size > 0 && !uses.some((use) => use.wantedUnbounded))
    notes.push(
      `every caller bounded the token to ${[...resources].toSorted().slice(0, 10).join(', ')}: a boundary of the rule could say so`,
    )
  return notes
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  const words = new Set(one)
  return words.size === new Set(other).size && other.every((word) => words.has(word))
}
