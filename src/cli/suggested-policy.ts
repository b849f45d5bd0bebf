import { isDeepStrictEqual } from 'node:util'
import { judgePolicy } from '../policy/policy-warnings.ts'
import type { Policy, Rule } from '../domain/policy.ts'
import { scopeSet } from '../domain/scopes.ts'
import {
  isShared,
  memberOfYaml,
  readYamlSource,
  type YamlList,
  type YamlMapping,
  type YamlPart,
} from './yaml-source.ts'
import { applyEdits, removeItems, removeMember, setWords, type Edit } from './yaml-edits.ts'

/** What the broker says of one rule. */
export interface RuleAdvice {
  readonly rule: string
  readonly advice: string
  readonly changes: readonly {
    readonly member: string
    readonly now: readonly string[]
    readonly enough: readonly string[]
  }[]
}

export interface SuggestedPolicy {
  readonly text: string
  /** Rules that stay as they are although something was advised, and why. */
  readonly left: readonly { readonly rule: string; readonly reason: string }[]
}

/**
 * The policy text with the advice followed: the same octets but for what the advice is about, and comments directly
 * above what is gone. It is a valid policy that means the old one with these rules removed or narrowed, and nothing
 * else; a rule that cannot be followed so is left as it is. The text must be a valid policy.
 */
export function suggestedPolicy(text: string, advice: readonly RuleAdvice[]): SuggestedPolicy {
  const before = policyOf(text)
  if (before === undefined) return { text, left: leave(advice.filter(isWanted), 'the policy is not valid') }
  const wanted = advice.filter(isWanted)
  const known = wanted.filter((one) => isAbout(one, before))
  const editable = known.filter((one) => isEditable(text, one))
  const followed = follow(text, before, editable)
  return {
    text: rewrite(text, followed),
    left: [
      ...leave(
        wanted.filter((one) => !known.includes(one)),
        'the policy changed meanwhile',
      ),
      ...leave(
        known.filter((one) => !editable.includes(one)),
        'it has anchors, aliases or members that are not written out: change it by hand',
      ),
      ...leave(
        editable.filter((one) => !followed.includes(one)),
        'what is left of it would not be a valid rule: change it by hand',
      ),
    ],
  }
}

function isWanted({ advice, changes }: RuleAdvice): boolean {
  return advice === 'remove' || (advice === 'narrow' && changes.length > 0)
}

function leave(advice: readonly RuleAdvice[], reason: string): SuggestedPolicy['left'] {
  return advice.map(({ rule }) => ({ rule, reason }))
}

function policyOf(text: string): Policy | undefined {
  const judgement = judgePolicy({ text, origin: 'policy' })
  return judgement.ok ? judgement.policy : undefined
}

/** Whether the rule still says what the broker looked at. */
function isAbout({ rule: name, changes }: RuleAdvice, policy: Policy): boolean {
  const rule = policy.rules.find((one) => one.name === name)
  if (rule === undefined) return false
  return changes.every(({ member, now }) => {
    const words = new Set(wordsOf(rule, member))
    return words.size === new Set(now).size && now.every((word) => words.has(word))
  })
}

function wordsOf(rule: Rule, member: string): readonly string[] {
  switch (member) {
    case 'scopes':
      return rule.scopes
    case 'token_types':
      return rule.tokenTypes
    case 'subjects':
      return rule.subjects
    case 'id_token_audiences':
      return rule.idTokenAudiences
    default:
      return []
  }
}

/** An anchor may be meant elsewhere, and an alias is: what is changed here would be changed there. */
function isEditable(text: string, { rule: name, advice, changes }: RuleAdvice): boolean {
  const rule = ruleOf(rulesOf(text), name)
  if (rule === undefined) return false
  if (isShared(rule)) return false
  return advice === 'remove' || changes.every(({ member }) => memberOfYaml(rule, member)?.kind === 'list')
}

function rulesOf(text: string): YamlList | undefined {
  const rules = memberOfYaml(readYamlSource(text), 'rules')
  return rules?.kind === 'list' ? rules : undefined
}

function ruleOf(rules: YamlList | undefined, name: string): YamlMapping | undefined {
  return rules?.items.filter((item) => item.kind === 'mapping').find((item) => nameOf(item) === name)
}

function nameOf(rule: YamlPart): string | undefined {
  const name = memberOfYaml(rule, 'name')
  return name?.kind === 'scalar' ? name.text : undefined
}

/** All of it, as a rule; one after the other where that does not give what it should. */
function follow(text: string, before: Policy, advice: readonly RuleAdvice[]): readonly RuleAdvice[] {
  const isRight = (some: readonly RuleAdvice[]) =>
    isDeepStrictEqual(policyOf(rewrite(text, some)), narrowed(before, some))
  if (isRight(advice)) return advice
  return advice.reduce<readonly RuleAdvice[]>(
    (followed, one) => (isRight([...followed, one]) ? [...followed, one] : followed),
    [],
  )
}

/** What the text must mean afterwards. */
function narrowed(policy: Policy, advice: readonly RuleAdvice[]): Policy {
  const rules = policy.rules.flatMap((rule) => {
    const one = advice.find(({ rule: name }) => name === rule.name)
    if (one === undefined) return [rule]
    return one.advice === 'remove' ? [] : [narrowedRule(rule, one)]
  })
  return { ...policy, rules }
}

function narrowedRule(rule: Rule, { changes }: RuleAdvice): Rule {
  const enough = (member: string, words: readonly string[]) =>
    changes.find((change) => change.member === member)?.enough ?? words
  const within = <Word extends string>(member: string, words: readonly Word[]) =>
    words.filter((word) => enough(member, words).includes(word))
  return {
    ...rule,
    scopes: scopeSet(enough('scopes', rule.scopes)),
    tokenTypes: within('token_types', rule.tokenTypes),
    subjects: within('subjects', rule.subjects),
    idTokenAudiences: within('id_token_audiences', rule.idTokenAudiences),
  }
}

function rewrite(text: string, advice: readonly RuleAdvice[]): string {
  const rules = rulesOf(text)
  if (advice.length === 0 || rules === undefined) return text
  const gone = new Set(advice.filter((one) => one.advice === 'remove').map(({ rule }) => rule))
  const isGone = (item: YamlPart) => gone.has(nameOf(item) ?? '')
  const edits = advice
    .filter((one) => one.advice === 'narrow')
    .flatMap(({ rule, changes }) =>
      changes.flatMap((change) => narrowMember(text, ruleOf(rules, rule), change)),
    )
  return applyEdits(text, [...removeItems(text, rules, isGone), ...edits])
}

function narrowMember(
  text: string,
  rule: YamlMapping | undefined,
  { member, enough }: RuleAdvice['changes'][number],
): readonly Edit[] {
  const words = memberOfYaml(rule, member)
  if (rule === undefined || words?.kind !== 'list') return []
  return enough.length === 0 ? removeMember(text, rule, member) : setWords(text, words, enough)
}
