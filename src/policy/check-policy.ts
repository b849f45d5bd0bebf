import type { Json } from '../domain/caller.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { PolicyWarning, CallerPattern, Policy, Rule } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import { warnOfBoundary, warnOfCredential, warnOfScopes, type RuleContext } from './check-rules.ts'
import { warnOfAccessTokens, warnOfIssuer, type IssuersWithoutJti } from './check-issuers.ts'
import { isList, memberOf } from '../domain/json.ts'
import type { ReadPolicy } from './parse-policy.ts'
import { describePath, type Path, type Report } from './policy-faults.ts'
import { createMatchText } from './match-caller.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/**
 * What is allowed in this policy and probably not meant, in the order of the document: rules that are broader than they
 * need to be or that are never reached, scopes that are deprecated, misspelt or were never consented to, promises that
 * a rule's credential cannot keep. Without `credentials`, which is all that are enrolled, nothing that depends on them.
 */
export function checkPolicy(
  { policy, text }: ReadPolicy,
  credentials?: readonly CredentialSummary[],
  withoutJti: IssuersWithoutJti = new Set(),
): readonly PolicyWarning[] {
  const warnings: PolicyWarning[] = []
  const warn: Report = (path, message, at = 'value') => {
    const { line, col } = text.locate(path, at)
    warnings.push({ line, column: col, path: describePath(path), text: message })
  }
  const known = new Map(credentials?.map((credential) => [credential.name, credential]))

  for (const [index, issuer] of policy.issuers.entries())
    warnOfIssuer(issuer, { path: ['issuers', index], warn, withoutJti })
  for (const [index, rule] of policy.rules.entries()) {
    const credential = known.get(rule.credential)
    const about: RuleContext = {
      policy,
      rule,
      ...omitUndefined({ credential }),
      path: ['rules', index],
      warn,
      pathOfScope: (scope) => pathOfItem(text.value, ['rules', index, 'scopes'], scope),
    }
    if (credentials !== undefined && credential === undefined)
      warn([...about.path, 'credential'], `no credential ${quote(rule.credential)} is enrolled`)
    warnOfCallers(rule.callers, about)
    warnOfAccessTokens(rule.callers, { issuers: policy.issuers, path: about.path, warn })
    warnOfScopes(about)
    warnOfBoundary(about)
    if (credential !== undefined) warnOfCredential({ ...about, credential, known })
  }
  warnOfShadows(policy, warn)
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
 * Issuers that sign for everybody who has an account, and the subjects that leave open whose it is. Source:
 * docs/policy.md, "Issuers as they are met".
 */
const everybodysIssuers: readonly {
  readonly issuer: string
  readonly open: RegExp
  readonly tell: string
}[] = [
  { issuer: 'https://accounts.google.com', open: /^\*$/, tell: 'email with email_verified, or hd' },
  {
    issuer: 'https://token.actions.githubusercontent.com',
    open: /^(?:\*|repo:\*)/,
    tell: 'repository_owner_id or repository_id',
  },
  { issuer: 'https://gitlab.com', open: /^(?:\*|project_path:\*)/, tell: 'namespace_id or project_id' },
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
  if (others?.open.test(subject) === true && !Object.keys(claims).some(telling))
    return `this issuer signs for everybody in the world: ask for a claim such as ${others.tell}`
  return undefined
}

/** Claims that are alike for everybody. */
const telling = (name: string): boolean => name !== 'email_verified' && name !== 'aud' && name !== 'iss'

export interface CallersContext {
  readonly policy: Policy
  /** Of the entry that has these callers. */
  readonly path: Path
  readonly warn: Report
}

/** Warns of callers that are anybody at all, because the issuer signs for the whole world. */
function warnOfCallers(callers: readonly CallerPattern[], { policy, path, warn }: CallersContext): void {
  for (const [index, { issuer: name, subject, claims }] of callers.entries()) {
    const issuer = policy.issuers.find((entry) => entry.name === name)?.issuer
    const everybodys = everybodysIssuers.find((entry) => entry.issuer === issuer)
    if (everybodys === undefined || !everybodys.open.test(subject) || Object.keys(claims).some(telling))
      continue
    warn(
      [...path, 'callers', index],
      `${quote(name)} signs for everybody in the world, and this takes them all: ask for a claim such as ${everybodys.tell}`,
    )
  }
}

/**
 * Warns of rules, and of callers in them, for whom an earlier rule for the same credential always decides. Only what is
 * certain: one pattern of the earlier rule takes everybody whom the later one takes.
 */
function warnOfShadows({ rules }: Policy, warn: Report): void {
  for (const [index, rule] of rules.entries()) {
    const earlier = rules.slice(0, index).filter(({ credential }) => credential === rule.credential)
    const taken = rule.callers.map((caller) => earlier.find((other) => takes(other, caller)))
    const by = [...new Set(taken)].filter((other) => other !== undefined).map(({ name }) => quote(name))
    if (!taken.includes(undefined)) {
      warn(['rules', index], `is never reached: ${by.join(', ')} above takes every caller it names`)
      continue
    }
    for (const [place, other] of taken.entries())
      if (other !== undefined)
        warn(['rules', index, 'callers', place], `is never reached: ${quote(other.name)} above takes it`)
  }
}

function takes({ callers }: Rule, caller: CallerPattern): boolean {
  return callers.some((pattern) => isWithin(caller, pattern))
}

/** Whether whoever fits `pattern` fits `wider`. */
function isWithin(pattern: CallerPattern, wider: CallerPattern): boolean {
  return (
    pattern.issuer === wider.issuer &&
    isTextWithin(pattern.subject, wider.subject) &&
    Object.entries(wider.claims).every(
      ([name, wanted]) =>
        Object.hasOwn(pattern.claims, name) && isValueWithin(pattern.claims[name] ?? null, wanted),
    )
  )
}

/** A star of `wider` covers a star of `pattern` as it covers any sign; nothing else of `wider` matches a star. */
function isTextWithin(pattern: string, wider: string): boolean {
  return createMatchText(wider)(pattern)
}

function isValueWithin(value: Json, wider: Json): boolean {
  return typeof value === 'string' && typeof wider === 'string' ? isTextWithin(value, wider) : value === wider
}
