import { isBrokerError, type BrokerError } from '../domain/broker-error.ts'
import type { Caller, Claims } from '../domain/caller.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type {
  ExplainedCredential,
  ExplainedToken,
  Explanation,
  Question,
  RuleExplanation,
} from '../domain/explanation.ts'
import type { Grant } from '../domain/grant.ts'
import type { Policy, TrustedIssuer } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import { formatScope, type ScopeSet } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import { createAuthorize, type AuthorizeDeps } from './authorize.ts'
import type { CompiledPolicy, CompiledRule } from './compile-policy.ts'
import { explainCallers } from './explain-caller.ts'
import { heedingBlocks, type CurrentBlocks } from './heed-blocks.ts'
import { scopesImpliedBy } from './implied-scopes.ts'
import { narrowScopes } from './narrow-scopes.ts'
import { nearMiss } from './near-miss.ts'
import { createParseTarget } from './parse-target.ts'

export interface ExplainDeps extends AuthorizeDeps {
  /** Why the `aud` of a subject token of that issuer would be refused, where it names others beside the broker. */
  readonly sharedAudienceFault: (claims: Claims, issuer: TrustedIssuer) => string | undefined
  readonly blocks: CurrentBlocks
}

export type Explain = (question: Question) => Promise<Explanation>

/**
 * Why a caller would get, or not get, what he asks for: the verdict of `authorize` itself, and beside it each rule for
 * the credential with the condition that failed. Asks no upstream, and proves nothing about who asks: claims are taken
 * as given. Throws `policy_unavailable` and `store_unavailable`.
 */
export function createExplain(deps: ExplainDeps): Explain {
  const parseTarget = createParseTarget(deps.brokerIssuer)

  return async (question) => {
    const compiled = await deps.policy()
    const issuer = findIssuer(compiled, question.issuer)
    const subject = typeof question.claims['sub'] === 'string' ? question.claims['sub'] : ''
    const name = parseTarget(question.target)
    const credential = name === undefined ? undefined : await deps.findCredential(name)
    const about = {
      caller: {
        issuer: issuer?.issuer ?? question.issuer,
        ...(issuer === undefined ? {} : { issuerName: issuer.name }),
        subject,
      },
      ...(name === undefined ? {} : { credential: explainedCredential(name, credential) }),
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

    const caller: Caller = {
      issuer: issuer.issuer,
      issuerName: issuer.name,
      subject,
      claims: question.claims,
    }
    const rules = name === undefined ? [] : explainRules(compiled.policy, caller, name)
    const verdict = await judge({ ...deps, policy: () => Promise.resolve(compiled) }, caller, question)
    const rule = name === undefined ? undefined : compiled.findRule(caller, name)
    const narrowest = narrowestScopes(question, rule, credential)
    return {
      ...about,
      ...verdict.told,
      rules,
      ...(narrowest.length === 0 ? {} : { narrowestScopes: narrowest }),
      hints: hintsOf({ question, name, verdict, rules, policy: compiled.policy }),
    }
  }
}

function findIssuer({ findIssuer: byIss, policy }: CompiledPolicy, text: string): TrustedIssuer | undefined {
  return byIss(text) ?? policy.issuers.find(({ name }) => name === text)
}

/** What a JWT of these claims would already be refused for, before policy is asked about it. */
function strangerFault(
  { issuer: asked, claims }: Question,
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

async function judge(deps: ExplainDeps, caller: Caller, question: Question): Promise<Verdict> {
  const { issuer: _, claims: __, ...asked } = question
  // Nothing is verified here, and authorize never looks at the proof.
  const request: ExchangeRequest = { ...asked, proof: { form: 'subject_token', assertion: new Secret('') } }
  try {
    return {
      told: {
        outcome: 'granted',
        token: explainedToken(await heedingBlocks(deps.blocks, createAuthorize(deps))(caller, request)),
      },
    }
  } catch (error) {
    if (!isBrokerError(error) || error.condition === undefined) throw error
    const { code, reason, condition } = error
    return { told: { outcome: 'refused', error: code, reason, condition }, error }
  }
}

/** What the rule would give of what is asked if it left out what it cannot, and no scope that another one implies. */
function narrowestScopes(
  { scopes, tokenType }: Question,
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

function explainedToken({
  tokenType,
  scopes,
  audience,
  subject,
  boundary,
  lifetime,
  credential,
}: Grant): ExplainedToken {
  return {
    tokenType,
    scopes,
    ...(audience === undefined ? {} : { audience }),
    ...(subject === undefined ? {} : { subject }),
    ...(boundary === undefined ? {} : { boundary }),
    ...(lifetime === undefined ? {} : { lifetimeMax: lifetime }),
    upstream: credential.upstream,
  }
}

function issuerHints({ issuer }: Question, { issuers }: Policy): readonly string[] {
  const meant = nearMiss(
    issuer,
    issuers.flatMap((entry) => [entry.name, entry.issuer]),
  )
  return meant === undefined
    ? []
    : [`Did you mean the issuer ${quote(meant)}? Issuers are compared octet by octet.`]
}

interface HintContext {
  readonly question: Question
  readonly name: string | undefined
  readonly verdict: Verdict
  readonly rules: readonly RuleExplanation[]
  readonly policy: Policy
}

function hintsOf({ question, name, verdict, rules, policy }: HintContext): readonly string[] {
  if (verdict.error === undefined) return []
  if (rules.length === 0) {
    const meant = nearMiss(name ?? question.target, [
      ...new Set(policy.rules.map(({ credential }) => credential)),
    ])
    return meant === undefined
      ? ['No rule of the policy is about this credential.']
      : [`No rule is about this credential. Did you mean ${quote(meant)}?`]
  }
  const deciding = policy.rules.find(({ name: rule }) =>
    rules.some((one) => one.rule === rule && one.outcome === 'decides'),
  )
  if (deciding === undefined)
    return ['Every rule for this credential names other callers: add this one to a rule, or a rule for it.']
  if (verdict.error.code !== 'scope_refused') return []
  return [
    `The rule ${quote(deciding.name)} gives: ${formatScope(deciding.scopes)}.`,
    ...(deciding.excessScopes === 'refuse'
      ? ['With excess_scopes: drop the rule would give what it can of what is asked.']
      : []),
  ]
}
