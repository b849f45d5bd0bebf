import type { Json } from '../domain/caller.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { PolicyWarning, PolicyWarningCode, CallerPattern, Policy, Rule } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import { runAtOnce, type Steps } from '../domain/promises.ts'
import {
  createMeantScope,
  warnOfBoundary,
  warnOfCredential,
  warnOfScopes,
  type RuleContext,
  warnOfAccessTokens,
  warnOfIssuer,
  type IssuersWithoutJti,
} from './check-rules.ts'
import { isList, memberOf } from '../domain/json.ts'
import type { ReadPolicy } from './parse-policy.ts'
import { describePath, type At, type Path, type Report } from './policy-faults.ts'
import { createMatchText } from './match-caller.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Nobody reads more warnings than this: the check stops there. */
const warningsMax = 1_000
const stepValuesMax = 500

/**
 * What is allowed in this policy and probably not meant, in the order of the document: rules that are broader than they
 * need to be or that are never reached, scopes that are deprecated, misspelt or were never consented to, promises that
 * a rule's credential cannot keep. Without `credentials`, which is all that are enrolled, nothing that depends on them.
 */
export function checkPolicy(
  read: ReadPolicy,
  credentials?: readonly CredentialSummary[],
  withoutJti: IssuersWithoutJti = new Set(),
): readonly PolicyWarning[] {
  return runAtOnce(checkPolicySteps(read, credentials, withoutJti))
}

/** The same in steps, each of a few rules. */
export function* checkPolicySteps(
  { policy, text }: ReadPolicy,
  credentials?: readonly CredentialSummary[],
  withoutJti: IssuersWithoutJti = new Set(),
): Steps<readonly PolicyWarning[]> {
  const found: { path: Path; at: At; code: PolicyWarningCode; text: string }[] = []
  const isEnough = () => found.length >= warningsMax
  const warnAs =
    (code: PolicyWarningCode): Report =>
    (path, message, { at = 'value' } = {}) => {
      if (!isEnough()) found.push({ path, at, code, text: message })
    }
  const known = new Map(credentials?.map((credential) => [credential.name, credential]))
  const issuersByName = new Map(policy.issuers.map((entry) => [entry.name, entry]))
  const issuers = new Map(policy.issuers.map(({ name, issuer }) => [name, issuer]))
  const upstreams = new Map(policy.upstreams.map((entry) => [entry.name, entry]))

  for (const [index, issuer] of policy.issuers.entries())
    warnOfIssuer(issuer, { path: ['issuers', index], warn: warnAs('issuer'), withoutJti })

  const meantScope = createMeantScope()
  let values = 0
  for (const [index, rule] of policy.rules.entries()) {
    if (isEnough()) break
    const credential = known.get(rule.credential)
    const about: Omit<RuleContext, 'warn'> = {
      issuers,
      upstreams,
      rule,
      ...omitUndefined({ credential }),
      path: ['rules', index],
      pathOfScope: (scope) => pathOfItem(text.value, ['rules', index, 'scopes'], scope),
      meantScope,
    }
    if (credentials !== undefined && credential === undefined)
      warnAs('unknown_credential')(
        [...about.path, 'credential'],
        `no credential ${quote(rule.credential)} is enrolled`,
      )
    warnOfCallers(rule.callers, { ...about, warn: warnAs('open_callers') })
    warnOfAccessTokens(rule.callers, {
      issuers: issuersByName,
      path: about.path,
      warn: warnAs('open_callers'),
    })
    warnOfScopes({ ...about, warn: warnAs('scope') })
    warnOfBoundary({ ...about, warn: warnAs('boundary') })
    if (credential !== undefined) warnOfCredential({ ...about, warn: warnAs('not_kept'), credential, known })
    values += 1 + rule.callers.length + rule.scopes.length
    if (values <= stepValuesMax) continue
    values = 0
    yield
  }
  yield
  yield* warnOfShadows(policy, warnAs('never_reached'))
  if (found.length === 0) return []
  const locate = yield* text.places()
  const warnings = found.map(({ path, at, ...warning }) => {
    const { line, col } = locate(path, at)
    return { line, column: col, path: describePath(path), ...warning }
  })
  return warnings.toSorted((one, other) => one.line - other.line || one.column - other.column)
}

/** A list's item by its text, for what was read of a list may have another order. */
function pathOfItem(value: Json, path: Path, item: string): Path {
  let list: Json | undefined = value
  for (const step of path) list = list === undefined ? undefined : memberOf(list, String(step))
  const index = list !== undefined && isList(list) ? list.indexOf(item) : -1
  return index === -1 ? path : [...path, index]
}

/**
 * Issuers that sign for everybody who has an account, and the subject patterns that any account matches. Source:
 * docs/policy.md, "Issuers as they are met".
 */
const everybodysIssuers: readonly {
  readonly issuer: string
  readonly open: RegExp
  readonly askFor: string
}[] = [
  { issuer: 'https://accounts.google.com', open: /^\*$/, askFor: 'email with email_verified, or hd' },
  {
    issuer: 'https://token.actions.githubusercontent.com',
    open: /^(?:\*|repo:\*)/,
    askFor: 'repository_owner_id or repository_id',
  },
  { issuer: 'https://gitlab.com', open: /^(?:\*|project_path:\*)/, askFor: 'namespace_id or project_id' },
]

/** Microsoft's own tenant of private accounts. */
const microsoftConsumers = 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'

/**
 * Why anybody in the world could be this administrator (T21): an e-mail address that nobody verified, or an account at an
 * issuer where everybody may have one, without the organisation it belongs to.
 */
export function anybodyFault(
  { subject, claims }: CallerPattern,
  issuer: string | undefined,
): string | undefined {
  if (Object.hasOwn(claims, 'email') && claims['email_verified'] !== true)
    return 'an e-mail address counts only beside email_verified: true'
  // Without a star the subject is one account and no other.
  if (!subject.includes('*')) return undefined
  const isGoogle = issuer === 'https://accounts.google.com'
  const isWorldwide = isGoogle || issuer === microsoftConsumers
  if (isWorldwide && !Object.hasOwn(claims, 'hd') && !Object.hasOwn(claims, 'tid'))
    return `this issuer signs for everybody in the world: ask for ${isGoogle ? 'hd' : 'tid'}, or for one subject`
  const others = everybodysIssuers.find((entry) => entry.issuer === issuer && !isGoogle)
  if (others?.open.test(subject) === true && !Object.keys(claims).some(identifies))
    return `this issuer signs for everybody in the world: ask for a claim such as ${others.askFor}`
  return undefined
}

/** Whether a claim tells accounts apart: these three are alike for everybody. */
const identifies = (name: string): boolean => name !== 'email_verified' && name !== 'aud' && name !== 'iss'

export interface CallersContext {
  /** The exact `iss` of each issuer by its name in the policy. */
  readonly issuers: ReadonlyMap<string, string>
  /** Of the entry that has these callers. */
  readonly path: Path
  readonly warn: Report
}

/** Warns of callers that are anybody at all, because the issuer signs for the whole world. */
function warnOfCallers(callers: readonly CallerPattern[], { issuers, path, warn }: CallersContext): void {
  for (const [index, { issuer: name, subject, claims }] of callers.entries()) {
    const issuer = issuers.get(name)
    const everybodys = everybodysIssuers.find((entry) => entry.issuer === issuer)
    if (everybodys === undefined || !everybodys.open.test(subject) || Object.keys(claims).some(identifies))
      continue
    warn(
      [...path, 'callers', index],
      `${quote(name)} signs for everybody in the world, and this takes them all: ask for a claim such as ${everybodys.askFor}`,
    )
  }
}

/**
 * Warns of rules, and of callers in them, for whom an earlier rule for the same credential always decides. Only what is
 * certain: one pattern of the earlier rule matches every caller that the later one matches. Patterns that begin with a star,
 * and many for one subject, must be compared one by one: after so many comparisons for each pattern the rest is left.
 */
function* warnOfShadows({ rules }: Policy, warn: Report): Steps<void> {
  const earlier = new Map<string, EarlierPatterns>()
  let comparisons = 0
  let comparisonsMax = 10_000
  let atLastStep = 0
  for (const [index, rule] of rules.entries()) {
    const patterns = earlier.get(rule.credential) ?? createEarlierPatterns()
    earlier.set(rule.credential, patterns)
    comparisonsMax += comparisonsPerPattern * rule.callers.length
    const taken = rule.callers.map((caller) => {
      const found = comparisons < comparisonsMax ? patterns.find(caller) : nobody
      comparisons += found.comparisons
      return found.rule
    })
    warnOfTaken(rule, taken, { index, warn })
    for (const caller of rule.callers) patterns.add(caller, rule)
    if (comparisons + index - atLastStep < comparisonsPerStep) continue
    atLastStep = comparisons + index
    yield
  }
}

const comparisonsPerPattern = 100
const comparisonsPerStep = 2_000

function warnOfTaken(
  { callers }: Rule,
  taken: readonly (Rule | undefined)[],
  { index, warn }: { readonly index: number; readonly warn: Report },
): void {
  if (callers.length > 0 && !taken.includes(undefined)) {
    const by = [...new Set(taken)].filter((other) => other !== undefined).map(({ name }) => quote(name))
    warn(['rules', index], `is never reached: ${by.join(', ')} above takes every caller it names`)
    return
  }
  for (const [place, other] of taken.entries())
    if (other !== undefined)
      warn(['rules', index, 'callers', place], `is never reached: ${quote(other.name)} above takes it`)
}

interface Found {
  readonly rule: Rule | undefined
  /** How many patterns were looked at. */
  readonly comparisons: number
}

const nobody: Found = { rule: undefined, comparisons: 0 }

/** The patterns of the rules above for one credential. */
interface EarlierPatterns {
  readonly find: (caller: CallerPattern) => Found
  readonly add: (caller: CallerPattern, rule: Rule) => void
}

interface Wider {
  readonly pattern: CallerPattern
  readonly rule: Rule
  readonly order: number
  readonly matchSubject: (text: string) => boolean
}

/** Whoever fits a pattern fits a wider one of the same subject, or of one with a star that covers the subject. */
function createEarlierPatterns(): EarlierPatterns {
  const bySubject = new Map<string, Wider[]>()
  const starred = new Map<string, Wider[]>()
  let order = 0

  return {
    find: (caller) => {
      const { issuer, subject } = caller
      const candidates = [
        ...(bySubject.get(JSON.stringify([issuer, subject])) ?? []),
        ...(starred.get(issuer) ?? []),
      ]
      const first = candidates
        .filter((wider) => wider.matchSubject(subject) && areClaimsWithin(caller, wider.pattern))
        .reduce<Wider | undefined>(
          (one, other) => (one === undefined || other.order < one.order ? other : one),
          undefined,
        )
      return { rule: first?.rule, comparisons: candidates.length }
    },
    add: (pattern, rule) => {
      const { issuer, subject } = pattern
      const [map, key] = subject.includes('*')
        ? [starred, issuer]
        : [bySubject, JSON.stringify([issuer, subject])]
      const wider = { pattern, rule, order: (order += 1), matchSubject: createMatchText(subject) }
      const others = map.get(key)
      if (others === undefined) map.set(key, [wider])
      else others.push(wider)
    },
  }
}

function areClaimsWithin({ claims }: CallerPattern, wider: CallerPattern): boolean {
  return Object.entries(wider.claims).every(
    ([name, wanted]) => Object.hasOwn(claims, name) && isValueWithin(claims[name] ?? null, wanted),
  )
}

/** A star of `wider` covers a star of `pattern` as it covers any sign; nothing else of `wider` matches a star. */
function isValueWithin(value: Json, wider: Json): boolean {
  return typeof value === 'string' && typeof wider === 'string'
    ? createMatchText(wider)(value)
    : value === wider
}
