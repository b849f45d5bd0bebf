import type { Caller } from '../domain/caller.ts'
import type { AdminRole, CallerPattern, Policy, Rule, TrustedIssuer } from '../domain/policy.ts'
import type { Upstream } from '../domain/upstream.ts'
import { createFillBoundary, type FillBoundary } from './fill-boundary.ts'
import { createMatchCaller, createMatchText, type MatchCaller } from './match-caller.ts'
import { createRuleScopes, type RuleScopes } from './rule-scopes.ts'

/** A policy made ready to be asked on every request. */
export interface CompiledPolicy {
  readonly policy: Policy
  /** By the exact `iss`. The same object for as long as the entry means the same, across reloads. */
  findIssuer(iss: string): TrustedIssuer | undefined
  /** By the policy's name for it; Google is not one of these. */
  findUpstream(name: string): Upstream | undefined
  /** The first rule that matches this caller and credential. */
  findRule(caller: Caller, credential: string): CompiledRule | undefined
  /**
   * Every role that matches this caller; of those beyond `others`, where that is given, only what a pattern gives whose
   * claims are `expressly` so.
   */
  findRoles(
    caller: Caller,
    expressly?: (claims: CallerPattern['claims']) => boolean,
    others?: ReadonlySet<AdminRole>,
  ): readonly AdminRole[]
}

export interface CompiledRule {
  readonly rule: Rule
  readonly matchCaller: MatchCaller
  readonly scopesAt: (upstream: string) => RuleScopes
  readonly fillBoundary: FillBoundary
  readonly matchSubject: (subject: string) => boolean
}

/** Compiles a checked policy; issuers that mean the same as in `previous` stay the same objects. */
export function compilePolicy(parsed: Policy, previous?: CompiledPolicy): CompiledPolicy {
  const policy = { ...parsed, issuers: parsed.issuers.map((issuer) => keepSame(issuer, previous)) }
  const issuers = new Map(policy.issuers.map((issuer) => [issuer.issuer, issuer]))
  const issuersByName = new Map(policy.issuers.map((issuer) => [issuer.name, issuer]))
  const upstreams = new Map(policy.upstreams.map((upstream) => [upstream.name, upstream]))
  const compile = (callers: readonly CallerPattern[]) => compileCallers(callers, issuersByName)

  const rules = Map.groupBy(
    policy.rules.map((rule) => compileRule(rule, compile(rule.callers))),
    ({ rule }) => rule.credential,
  )
  const admins = policy.admins.flatMap(({ callers, role }) =>
    callers.map((pattern) => ({ pattern, matchCaller: compile([pattern]), role })),
  )

  return {
    policy,
    findIssuer: (iss) => issuers.get(iss),
    findUpstream: (name) => upstreams.get(name),
    findRule: (caller, credential) => rules.get(credential)?.find((rule) => rule.matchCaller(caller)),
    findRoles: (caller, expressly = () => true, others) => {
      const matching = admins.filter(({ matchCaller }) => matchCaller(caller))
      const counting = matching.filter(
        ({ pattern, role }) => others?.has(role) !== false || expressly(pattern.claims),
      )
      return counting.map(({ role }) => role)
    },
  }
}

/** Caches of keys and of verified assertions hang on the object: a new one for an equal entry would empty them. */
function keepSame(issuer: TrustedIssuer, previous: CompiledPolicy | undefined): TrustedIssuer {
  const before = previous?.findIssuer(issuer.issuer)
  // Both come from parsePolicy, which writes members in one order: equal entries are equal as JSON.
  return before !== undefined && JSON.stringify(before) === JSON.stringify(issuer) ? before : issuer
}

function compileRule(rule: Rule, matchCaller: MatchCaller): CompiledRule {
  const subjects = rule.subjects.map(createMatchText)
  return {
    rule,
    matchCaller,
    scopesAt: createRuleScopes(rule.scopes),
    fillBoundary: createFillBoundary(rule.boundary),
    matchSubject: (subject) => subjects.some((matchText) => matchText(subject)),
  }
}

function compileCallers(
  patterns: readonly CallerPattern[],
  issuersByName: ReadonlyMap<string, TrustedIssuer>,
): MatchCaller {
  const matchers = patterns.flatMap((pattern) => {
    const issuer = issuersByName.get(pattern.issuer)
    // parsePolicy refuses such a rule; without its issuer it matches nobody.
    return issuer === undefined ? [] : [createMatchCaller(pattern, issuer.issuer)]
  })
  return (caller) => matchers.some((matchCaller) => matchCaller(caller))
}
