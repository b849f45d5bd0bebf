import { isBrokerError, type BrokerError } from '../domain/broker-error.ts'
import { type Caller, type Claims, createFindClaim } from '../domain/caller.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type {
  ExplainedCredential,
  ExplainedToken,
  Explanation,
  ExplainQuestion,
  RuleExplanation,
  FailedCondition,
} from '../domain/explanation.ts'
import type { Grant, GrantedCredential } from '../domain/grant.ts'
import type { Policy, Rule, TrustedIssuer, CallerPattern } from '../domain/policy.ts'
import { quote, closestMatch } from '../domain/text.ts'
import { formatScope, type ScopeSet } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import { createAuthorize, createFindTarget, type AuthorizeDeps } from './authorize.ts'
import { brokerTarget } from '../domain/url.ts'
import type { CompiledPolicy, CompiledRule } from '../policy/compile-policy.ts'
import { enforceBlocks, refuseWithoutRule, type CurrentBlocks } from './enforce-blocks.ts'
import { impliedScopes, readScopes, scopesImpliedBy } from '../policy/scope-catalogue.ts'
import { narrowScopes } from './narrow.ts'
import { createMatchCaller, createMatchClaim, createMatchText } from '../policy/match-caller.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ExplainDeps extends AuthorizeDeps {
  /** Why the `aud` of a subject token of that issuer would be refused, where it names others beside the broker. */
  readonly sharedAudienceFault: (claims: Claims, issuer: TrustedIssuer) => string | undefined
  /** Why this instance seals no boundary for a credential now. */
  readonly whyUnsealed?: (credential: GrantedCredential) => string | undefined
  readonly blocks: CurrentBlocks
}

export type Explain = (question: ExplainQuestion) => Promise<Explanation>

/**
 * Why a caller would get, or not get, what it asks for: the verdict of `authorize` itself, and beside it each rule for
 * the credential with the condition that failed. Asks no upstream, and proves nothing about who asks: claims are taken
 * as given. Throws `policy_unavailable` and `store_unavailable`.
 */
export function createExplain(deps: ExplainDeps): Explain {
  const findTarget = createFindTarget(deps)
  const broker = brokerTarget(deps.brokerIssuer)

  return async (question) => {
    const compiled = await deps.policy()
    const issuer = findIssuer(compiled, question.issuer)
    const subject = typeof question.claims['sub'] === 'string' ? question.claims['sub'] : ''
    const caller: Caller = {
      issuer: issuer?.issuer ?? question.issuer,
      issuerName: issuer?.name ?? '',
      subject,
      claims: question.claims,
    }
    const name = await findTarget(compiled, caller, question.target)
    const credential = name === undefined ? undefined : await deps.findCredential(name)
    const about = {
      caller: {
        issuer: caller.issuer,
        ...(issuer !== undefined && { issuerName: issuer.name }),
        subject,
      },
      ...(name !== undefined && { credential: explainedCredential(name, credential) }),
    }
    const refused = strangerFault(question, issuer, { subject, ...deps })
    if (issuer === undefined || refused !== undefined)
      return {
        outcome: 'refused',
        ...about,
        ...refused,
        rules: [],
        hints: issuerHints(question, compiled.policy),
      }

    if (question.target === broker)
      return { ...about, ...explainTicket(compiled, caller), rules: [], hints: [] }
    const rules = name === undefined ? [] : explainRules(compiled.policy, caller, name)
    const verdict = await judge({ ...deps, policy: () => Promise.resolve(compiled) }, caller, question)
    const rule = name === undefined ? undefined : compiled.findRule(caller, name)
    const narrowest = narrowestScopes(question, rule, credential)
    return {
      ...about,
      ...verdict.told,
      rules,
      ...(narrowest.length > 0 && { narrowestScopes: narrowest }),
      hints: hintsOf({ question, name, credential, verdict, rules, policy: compiled.policy }),
    }
  }
}

/** Of the broker itself there are tickets, for whoever may have anything; blocks are looked at when one is used. */
function explainTicket(policy: CompiledPolicy, caller: Caller): Refused & Pick<Explanation, 'token'> {
  try {
    refuseWithoutRule(policy, caller)
    return { outcome: 'granted', token: { tokenType: 'access_token', scopes: ['ticket'], upstream: 'none' } }
  } catch (error) {
    if (!isBrokerError(error)) throw error
    const { code, reason, condition } = error
    return { outcome: 'refused', error: code, reason, ...omitUndefined({ condition }) }
  }
}

function findIssuer({ findIssuer: byIss, policy }: CompiledPolicy, text: string): TrustedIssuer | undefined {
  return byIss(text) ?? policy.issuers.find(({ name }) => name === text)
}

/** What a JWT of these claims would already be refused for, before policy is asked about it. */
function strangerFault(
  { issuer: asked, claims }: ExplainQuestion,
  issuer: TrustedIssuer | undefined,
  { subject, sharedAudienceFault }: Pick<ExplainDeps, 'sharedAudienceFault'> & { readonly subject: string },
): Refused | undefined {
  if (issuer === undefined) return stranger('issuers', `the policy trusts no issuer ${quote(asked)}`)
  if (subject === '') return stranger('claims.sub', 'the claim sub is missing, empty or no text')
  if (issuer.selfIssued && subject !== issuer.issuer)
    return stranger(
      'self_issued',
      `${quote(issuer.name)} signs for itself only, and sub is ${quote(subject)}`,
    )
  const shared = sharedAudienceFault(claims, issuer)
  if (shared !== undefined) return stranger('claims.aud', shared)
  return undefined
}

type Refused = Pick<Explanation, 'outcome' | 'error' | 'reason' | 'condition'>

function stranger(condition: string, reason: string): Refused {
  return { outcome: 'refused', error: 'subject_token_rejected', reason, condition }
}

function explainedCredential(name: string, credential: CredentialSummary | undefined): ExplainedCredential {
  if (credential === undefined) return { name }
  const { kind, state, version } = credential
  return { name, kind, state, version }
}

function explainRules(policy: Policy, caller: Caller, credential: string): readonly RuleExplanation[] {
  const rules: RuleExplanation[] = []
  let isDecided = false
  for (const rule of policy.rules) {
    if (rule.credential !== credential) continue
    if (isDecided) {
      rules.push({ rule: rule.name, outcome: 'not_reached', failed: [] })
      continue
    }
    const failed = explainCallers(rule.callers, caller, policy.issuers)
    isDecided = failed.length === 0
    rules.push({ rule: rule.name, outcome: isDecided ? 'decides' : 'does_not_match', failed })
  }
  return rules
}

interface Verdict {
  readonly told: Pick<Explanation, 'outcome' | 'error' | 'reason' | 'condition' | 'token'>
  readonly error?: BrokerError
}

async function judge(deps: ExplainDeps, caller: Caller, question: ExplainQuestion): Promise<Verdict> {
  const { issuer: _, claims: __, ...asked } = question
  // Nothing is verified here, and authorize never looks at the proof.
  const request: ExchangeRequest = { ...asked, proof: { form: 'subject_token', assertion: new Secret('') } }
  try {
    const grant = await enforceBlocks(deps.blocks, createAuthorize(deps))(caller, request)
    const { policy } = await deps.policy()
    const rule = policy.rules.find(({ name }) => name === grant.rule)
    return { told: { outcome: 'granted', token: explainedToken(grant, rule, deps.whyUnsealed) } }
  } catch (error) {
    if (!isBrokerError(error) || error.condition === undefined) throw error
    const { code, reason, condition } = error
    return { told: { outcome: 'refused', error: code, reason, condition }, error }
  }
}

/** What the rule would give of what is asked if it left out what it cannot, and no scope that another one implies. */
function narrowestScopes(
  { scopes, tokenType }: ExplainQuestion,
  rule: CompiledRule | undefined,
  credential: CredentialSummary | undefined,
): ScopeSet {
  if (rule === undefined || credential === undefined || tokenType !== 'access_token') return []
  const lenient = { ...rule, rule: { ...rule.rule, excessScopes: 'drop' as const } }
  try {
    const given = narrowScopes(scopes, lenient, credential)
    return given.filter((scope) => !given.some((other) => scopesImpliedBy(other).has(scope)))
  } catch (error) {
    if (isBrokerError(error)) return []
    throw error
  }
}

function explainedToken(
  grant: Grant,
  rule: Rule | undefined,
  whyUnsealed: ExplainDeps['whyUnsealed'],
): ExplainedToken {
  const { tokenType, scopes, audience, subject, boundary, lifetime, credential } = grant
  const bounding = boundingNow(grant, whyUnsealed)
  const implied = credential.upstream === 'google' ? impliedScopes(rule?.scopes ?? [], scopes) : []
  return {
    tokenType,
    scopes,
    ...(implied.length > 0 && { impliedScopes: implied }),
    ...omitUndefined({ audience, subject, boundary, bounding, lifetimeMax: lifetime }),
    upstream: credential.upstream,
  }
}

function boundingNow(
  { bounding, credential }: Grant,
  whyUnsealed: ExplainDeps['whyUnsealed'],
): Grant['bounding'] {
  const why = bounding?.way === 'sealed' ? whyUnsealed?.(credential) : undefined
  return bounding === undefined || why === undefined ? bounding : { ...bounding, way: 'exchanged', why }
}

function issuerHints({ issuer }: ExplainQuestion, { issuers }: Policy): readonly string[] {
  const meant = closestMatch(
    issuer,
    issuers.flatMap((entry) => [entry.name, entry.issuer]),
  )
  return meant === undefined ? [] : [`Did you mean the issuer ${quote(meant)}? Issuers are compared exactly.`]
}

interface HintContext {
  readonly credential: CredentialSummary | undefined
  readonly question: ExplainQuestion
  readonly name: string | undefined
  readonly verdict: Verdict
  readonly rules: readonly RuleExplanation[]
  readonly policy: Policy
}

function hintsOf({ question, name, credential, verdict, rules, policy }: HintContext): readonly string[] {
  if (verdict.error === undefined) return []
  if (rules.length === 0) {
    const meant = closestMatch(name ?? question.target, [
      ...new Set(policy.rules.map(({ credential }) => credential)),
    ])
    return meant === undefined
      ? ['No rule of the policy is about this credential.']
      : [`No rule is about this credential. Did you mean ${quote(meant)}?`]
  }
  const deciding = policy.rules.find(({ name: rule }) =>
    rules.some((one) => one.rule === rule && one.outcome === 'decides'),
  )
  const ofState = stateHints(name, credential)
  if (deciding !== undefined && ofState.length > 0) return ofState
  if (deciding === undefined)
    return ['Every rule for this credential names other callers: add this one to a rule, or a rule for it.']
  if (verdict.error.code !== 'scope_refused') return []
  const read = readScopes(credential?.upstream ?? '', question.scopes)
  return [
    ...(read.ok ? [] : read.faults.map((fault) => fault.replace(/^scopes: /, ''))),
    `The rule ${quote(deciding.name)} gives: ${formatScope(deciding.scopes)}.`,
    ...(deciding.excessScopes === 'refuse'
      ? ['With excess_scopes: drop the rule would give what it can of what is asked.']
      : []),
  ]
}

/** How a credential that a rule gives comes to give tokens again. */
function stateHints(name = '', credential: CredentialSummary | undefined): readonly string[] {
  switch (credential?.state) {
    case undefined:
      return [`Nothing is enrolled under this name: downscope credentials import FILE --name ${name}`]
    case 'disabled':
      return [`It was disabled: downscope credentials enable ${name} puts it back into service.`]
    case 'revoked':
      return [
        `It was revoked, for good. Enrol a new secret in its place: downscope credentials destroy ${name}, then downscope credentials import FILE --name ${name}.`,
      ]
    case 'enabled':
      return []
  }
}

/**
 * Why none of a rule's patterns takes a caller: of each the first part that does not match, in the order of the
 * policy. Empty when one accepts the caller, and then `findRule` finds the rule too.
 */
function explainCallers(
  patterns: readonly CallerPattern[],
  caller: Caller,
  issuers: readonly TrustedIssuer[],
): readonly FailedCondition[] {
  const failed: FailedCondition[] = []
  for (const [index, pattern] of patterns.entries()) {
    const issuer = issuers.find(({ name }) => name === pattern.issuer)?.issuer ?? ''
    if (createMatchCaller(pattern, issuer)(caller)) return []
    failed.push(explainPattern(pattern, caller, { issuer, at: `callers[${index}]` }))
  }
  return failed
}

interface PatternPlace {
  /** The exact `iss` that the pattern's issuer name stands for. */
  readonly issuer: string
  readonly at: string
}

function explainPattern(
  pattern: CallerPattern,
  caller: Caller,
  { issuer, at }: PatternPlace,
): FailedCondition {
  if (caller.issuer !== issuer)
    return { condition: `${at}.issuer`, wanted: pattern.issuer, found: caller.issuerName }
  if (!createMatchText(pattern.subject)(caller.subject))
    return { condition: `${at}.subject`, wanted: pattern.subject, found: caller.subject }
  const [name = '', wanted] =
    Object.entries(pattern.claims).find(([claim, value]) => !createMatchClaim(claim, value)(caller.claims)) ??
    []
  const found = createFindClaim(name)(caller.claims)
  return {
    condition: `${at}.claims[${JSON.stringify(name)}]`,
    wanted: JSON.stringify(wanted),
    found: found === undefined ? 'no such claim' : JSON.stringify(found),
  }
}
