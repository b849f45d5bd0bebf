import { type Caller, unescapeStep } from '../domain/caller.ts'
import type { AdminRole, CallerPattern, Policy, Rule, TrustedIssuer } from '../domain/policy.ts'
import type { Upstream } from '../domain/upstream.ts'
import { upstreamPresets } from '../domain/upstream-presets.ts'
import { presetUpstream } from './read-preset.ts'
import { createCallerIndex, type CallerIndex, createMatchText } from './match-caller.ts'
import { createFillBoundary, type FillBoundary, claimsInBoundary } from '../boundaries/boundary.ts'
import { scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { fullScopeName, scopesGivenBy, scopesImpliedBy } from './scope-catalogue.ts'

/** A policy made ready to be asked on every request. */
export interface CompiledPolicy {
  readonly policy: Policy
  /** By the exact `iss`. The same object for as long as the entry means the same, across reloads. */
  findIssuer(iss: string): TrustedIssuer | undefined
  /** By the policy's name for it, or a preset by its own; Google is not one of these. */
  findUpstream(name: string): Upstream | undefined
  /** The first rule that matches this caller and credential. */
  findRule(caller: Caller, credential: string): CompiledRule | undefined
  /** The credentials for which a rule takes this caller. */
  credentialsFor(caller: Caller): Iterable<string>
  /** Every role that matches this caller; `cap` may make one smaller, by the claims that its pattern asks for. */
  findRoles(
    caller: Caller,
    cap?: (role: AdminRole, asked: CallerPattern['claims']) => AdminRole,
  ): readonly AdminRole[]
}

export interface CompiledRule {
  readonly rule: Rule
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
  const index = <Value>(entries: readonly Entry<Value>[]) => indexCallers(entries, issuersByName)

  const rules = new Map(
    Map.groupBy(policy.rules, ({ credential }) => credential)
      .entries()
      .map(([credential, group]) => [
        credential,
        index(group.map((rule) => ({ callers: rule.callers, value: whenNeeded(() => compileRule(rule)) }))),
      ]),
  )
  const admins = index(
    policy.admins.flatMap(({ callers, role }) =>
      callers.map((pattern) => ({ callers: [pattern], value: { pattern, role } })),
    ),
  )

  // Each costs a start a millisecond.
  const presets = new Map(
    Object.keys(upstreamPresets).map((name) => [name, whenNeeded(() => presetUpstream(name))]),
  )

  return {
    policy,
    findIssuer: (iss) => issuers.get(iss),
    findUpstream: (name) => upstreams.get(name) ?? presets.get(name)?.(),
    findRule: (caller, credential) => rules.get(credential)?.first(caller)?.(),
    credentialsFor: (caller) =>
      rules
        .entries()
        .filter(([, index]) => index.first(caller) !== undefined)
        .map(([credential]) => credential),
    findRoles: (caller, cap = (role) => role) =>
      admins.all(caller).map(({ pattern, role }) => cap(role, pattern.claims)),
  }
}

/** Caches of keys and of verified assertions hang on the object: a new one for an equal entry would empty them. */
function keepSame(issuer: TrustedIssuer, previous: CompiledPolicy | undefined): TrustedIssuer {
  const before = previous?.findIssuer(issuer.issuer)
  // Both come from parsePolicy, which writes members in one order: equal entries are equal as JSON.
  return before !== undefined && JSON.stringify(before) === JSON.stringify(issuer) ? before : issuer
}

/** Made once, at its first use: of thousands of rules an instance uses some, and of the presets few or none. */
function whenNeeded<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

function compileRule(rule: Rule): CompiledRule {
  const subjects = rule.subjects.map(createMatchText)
  return {
    rule,
    scopesAt: createRuleScopes(rule),
    fillBoundary: createFillBoundary(rule.boundary),
    matchSubject: (subject) => subjects.some((matchText) => matchText(subject)),
  }
}

interface Entry<Value> {
  readonly callers: readonly CallerPattern[]
  readonly value: Value
}

function indexCallers<Value>(
  entries: readonly Entry<Value>[],
  issuersByName: ReadonlyMap<string, TrustedIssuer>,
): CallerIndex<Value> {
  return createCallerIndex(
    entries.flatMap(({ callers, value }) =>
      callers.flatMap((pattern) => {
        const issuer = issuersByName.get(pattern.issuer)
        // parsePolicy refuses such a rule; without its issuer it matches nobody.
        return issuer === undefined ? [] : [{ pattern, issuer: issuer.issuer, value }]
      }),
    ),
  )
}

/** The scopes of a rule, as one upstream understands them. */
export interface RuleScopes {
  readonly scopes: ScopeSet
  /** Scopes of a request as they are meant: at Google a short name stands for its URL. */
  readonly meant: (asked: ScopeSet) => ScopeSet
  /** Whether a token may carry it: a scope of the rule, or one that a scope of the rule implies. */
  readonly allows: (scope: string) => boolean
  /** What the rule allows of that which a broader scope implies. */
  readonly allowedOf: (broader: string) => ScopeSet
}

/** The scopes of a rule at each upstream: the catalogue speaks of Google's, and everywhere else a scope is a word. */
function createRuleScopes({ scopes: written, givesImplied }: Rule): (upstream: string) => RuleScopes {
  const literal = literalScopes(written)
  const google = googleScopes(scopeSet(written.map(fullScopeName)), givesImplied)
  return (upstream) => (upstream === 'google' ? google : literal)
}

function literalScopes(scopes: ScopeSet): RuleScopes {
  const known = new Set(scopes)
  return { scopes, meant: (asked) => asked, allows: (scope) => known.has(scope), allowedOf: () => [] }
}

function googleScopes(scopes: ScopeSet, givesImplied: boolean): RuleScopes {
  const reach = (impliedBy: (scope: string) => ReadonlySet<string>): ReadonlySet<string> =>
    new Set([...scopes, ...(givesImplied ? scopes.flatMap((scope) => [...impliedBy(scope)]) : [])])
  const given = reach(scopesGivenBy)
  // What nobody asked for by name is not given where it could do anything that the rule's own words do not.
  const within = reach(scopesImpliedBy)
  return {
    scopes,
    meant: (asked) => scopeSet(asked.map(fullScopeName)),
    allows: (scope) => given.has(scope),
    allowedOf: (broader) => scopeSet(scopesImpliedBy(broader).intersection(within)),
  }
}

/** The top-level claims that some rule's callers are told by, or its boundary speaks of, `sub` aside. */
export function claimsLookedAt({ rules }: Policy): ReadonlySet<string> {
  return new Set(
    rules.flatMap(({ callers, boundary }) =>
      [...callers.flatMap(({ claims }) => Object.keys(claims)), ...claimsInBoundary(boundary)].map(
        topLevelName,
      ),
    ),
  )
}

/** The top-level claims that roles come from. */
export function claimsForRoles({ admins }: Policy): ReadonlySet<string> {
  const patterns = admins.flatMap(({ callers }) => callers)
  return new Set(patterns.flatMap(({ claims }) => Object.keys(claims)).map(topLevelName))
}

/** A name stands for itself, and of a JSON Pointer the first step counts (RFC 6901 §4). */
function topLevelName(name: string): string {
  return name.startsWith('/') ? unescapeStep(name.slice(1).split('/')[0] ?? '') : name
}
