import {
  missingOfConsent,
  type CredentialSummary,
  identifiesAsAccount,
  tokenLifeOf,
} from '../domain/credential.ts'
import { quote, createClosestMatch } from '../domain/text.ts'
import type { Rule, CallerPattern, TrustedIssuer } from '../domain/policy.ts'
import { scopesBeyond } from '../domain/scopes.ts'
import {
  fullScopeName,
  scopesImpliedBy,
  shortScopeName,
  shortScopeNames,
  bareScopes,
  deprecatedScopes,
} from './scope-catalogue.ts'
import { parseCondition, partsOf, type Condition } from '../domain/boundary-condition.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { Path, Report } from './policy-faults.ts'
import { namesClient } from './match-caller.ts'

interface CredentialContext extends RuleContext {
  readonly credential: CredentialSummary
  /** All that are enrolled, by name. */
  readonly known: ReadonlyMap<string, CredentialSummary>
}

/** Warns of what a rule promises and its credential cannot keep: each would be refused when it is asked for. */
export function warnOfCredential(context: CredentialContext): void {
  const { upstreams, rule, credential, known, path, warn } = context
  const { kind, upstream, source } = credential
  const named = `${kind} ${quote(credential.name)}`
  const given = rule.tokenTypes.filter((type) => (type === 'api_key') === (kind === 'api_key'))
  if (given.length < rule.tokenTypes.length)
    warn(
      [...path, 'token_types'],
      `${named} gives no ${rule.tokenTypes.filter((type) => !given.includes(type)).join(', no ')}`,
    )
  else if (rule.tokenTypes.includes('id_token') && !identifiesAsAccount.has(kind))
    warn([...path, 'token_types'], `${named} gives no ID tokens`)
  if (rule.signature !== undefined && !identifiesAsAccount.has(kind))
    warn([...path, 'signature'], `${named} signs nothing: only a service account does`)
  if (rule.subjects.length > 0 && !identifiesAsAccount.has(kind))
    warn([...path, 'subjects'], `${named} cannot act for users`)
  if (rule.boundary.length > 0 && upstream !== 'google')
    warn([...path, 'boundary'], `${named} cannot be bounded: only an access token of Google's can`)
  if (upstream !== 'google' && !upstreams.has(upstream))
    warn(
      [...path, 'credential'],
      `${named} is of the upstream ${quote(upstream)}, which is not in this policy`,
    )
  const missing = missingOfConsent(rule.scopes, credential, upstreams.get(upstream))
  if (missing.length > 0)
    warn(
      [...path, 'scopes'],
      `give nothing: the upstream of ${named} gives all that was consented or nothing, and these are missing: ${missing.join(' ')}`,
    )
  else if (credential.narrowing?.refusedUntil !== undefined && isLess(rule, credential))
    warn(
      [...path, 'scopes'],
      `gave nothing when they were last asked for: the upstream of ${named} gave more than was asked`,
    )
  if (source !== undefined && !known.has(source))
    warn([...path, 'credential'], `${named} draws on ${quote(source)}, which is not enrolled`)
  warnOfLifetime(context)
}

function isLess({ scopes }: Rule, { consentedScopes = [] }: CredentialSummary): boolean {
  return scopesBeyond(consentedScopes, scopes).length > 0
}

function warnOfLifetime({ rule, credential, path, warn }: CredentialContext): void {
  const { lifetimeMax, tokenTypes, subjects } = rule
  if (lifetimeMax === undefined) return
  const place = [...path, 'lifetime_seconds_max']
  const lives = [
    ...tokenTypes.map((tokenType) => ({ what: tokenType, life: tokenLifeOf(credential, { tokenType }) })),
    ...(subjects[0] === undefined
      ? []
      : [
          {
            what: 'user’s access_token',
            life: tokenLifeOf(credential, { tokenType: 'access_token', subject: subjects[0] }),
          },
        ]),
  ]
  const broken = lives.find(({ life: { usual, choice } }) => lifetimeMax < (choice?.shortest ?? usual ?? 0))
  if (broken !== undefined)
    warn(
      place,
      `cannot be kept, and so gives nothing: an ${broken.what} of ${credential.kind} lives ${lifeOf(broken.life.usual)}`,
    )
  for (const {
    life: { choice, usual },
  } of lives) {
    if (choice === undefined || usual === undefined || lifetimeMax <= usual) continue
    const most = lifetimeMax > choice.longest ? `, and more than ${choice.longest} s to nobody` : ''
    warn(
      place,
      `Google gives more than ${usual} s only where an organisation policy lists the account${most}`,
    )
  }
}

function lifeOf(life: number | undefined): string {
  return life === undefined || life === Infinity ? 'for ever' : `${life} s`
}

/** Warns of scopes that say nothing new, are misspelt, are of an API that is gone, or were never consented to. */
export function warnOfScopes({ rule, credential, warn, pathOfScope, meantScope }: RuleContext): void {
  const isGoogles = credential === undefined || credential.upstream === 'google'
  const findBroader = createFindBroader(rule.scopes)
  for (const scope of rule.scopes) {
    if (isGoogles) {
      const text =
        (rule.givesImplied ? redundancy(findBroader(scope)) : undefined) ??
        deprecation(scope) ??
        misspelling(scope, meantScope, credential !== undefined)
      if (text !== undefined) warn(pathOfScope(scope), text)
    }
    const meant = isGoogles ? fullScopeName(scope) : scope
    if (credential?.consentedScopes?.includes(meant) === false)
      warn(pathOfScope(scope), `was never consented to for ${quote(credential.name)}, so no token carries it`)
  }
}

function redundancy(broader: string | undefined): string | undefined {
  if (broader === undefined) return undefined
  return `${quote(broader)} gives this too: leave it out, or, if it is all that is needed, leave out ${quote(broader)}`
}

/** Of a rule's scopes only those of the catalogue can be broader than another, and these are few. */
function createFindBroader(scopes: readonly string[]): (scope: string) => string | undefined {
  const sameName = Map.groupBy(scopes, fullScopeName)
  const implying = scopes.filter((scope) => scopesImpliedBy(fullScopeName(scope)).size > 0)
  return (scope) => {
    const meant = fullScopeName(scope)
    return [...(sameName.get(meant) ?? []), ...implying].toSorted().find((other) => {
      const full = fullScopeName(other)
      // Of two names of one scope only the second is too much.
      const isAlias = full === meant || scopesImpliedBy(meant).has(full)
      return (
        other !== scope && (full === meant || scopesImpliedBy(full).has(meant)) && !(isAlias && scope < other)
      )
    })
  }
}

function deprecation(scope: string): string | undefined {
  const name = shortScopeName(scope)
  return Object.hasOwn(deprecatedScopes, name) ? `is deprecated: ${deprecatedScopes[name]}` : undefined
}

const knownScopes: readonly string[] = [...shortScopeNames(), ...bareScopes]
const knownScopeSet: ReadonlySet<string> = new Set(knownScopes)
/** What was meant takes a look at each name there is; who misspells so many reads no further hint. */
const lookedUpMax = 50

/** For one policy: each name is looked up once, and a bounded number of them at all. */
export function createMeantScope(): RuleContext['meantScope'] {
  const closest = createClosestMatch(knownScopes)
  const found = new Map<string, string | undefined>()
  return (name) => {
    if (!found.has(name) && found.size < lookedUpMax) found.set(name, closest(name))
    return found.get(name)
  }
}

function misspelling(
  scope: string,
  meantScope: RuleContext['meantScope'],
  isSurelyGoogles: boolean,
): string | undefined {
  const name = scope.replace(/^https:\/\/www\.googleapis\.com\/auth\//, '')
  if (knownScopeSet.has(name)) return undefined
  // No scope of the catalogue is another URL.
  const meant = name.includes('/') ? undefined : meantScope(name)
  if (meant !== undefined) return `is not in the catalogue of Google's scopes; did you mean ${quote(meant)}?`
  return isSurelyGoogles && !scope.includes('://')
    ? 'is no short name: a scope outside the catalogue is written as a URL'
    : undefined
}

/** Warns of boundaries that reach more than they seem to, or nothing. */
export function warnOfBoundary({ rule, path, warn }: RuleContext): void {
  if (rule.boundary.length === 0) return
  for (const [index, { availabilityCondition }] of rule.boundary.entries()) {
    const parsed = parseCondition(availabilityCondition?.expression ?? 'true')
    for (const prefix of parsed.ok ? new Set(openPrefixes(parsed.condition)) : [])
      warn(
        [...path, 'boundary', index, 'availabilityCondition', 'expression'],
        prefix.endsWith('}')
          ? 'a prefix ends in a variable: the claim "a" reaches what belongs to "ab" too, unless a "/" follows'
          : `the prefix ${quote(prefix)} ends without "/": it reaches ${quote(`${prefix}2`)} and all that begins alike`,
      )
  }
  const names = rule.scopes.map((scope) => shortScopeName(fullScopeName(scope)))
  if (!names.some((name) => name === 'cloud-platform' || name.startsWith('devstorage.')))
    warn(
      [...path, 'scopes'],
      'the boundary leaves Cloud Storage only, and none of these scopes gives anything there',
    )
}

/** Of names and of lists, in the order of reading. */
function openPrefixes(condition: Condition): readonly string[] {
  if (condition.kind !== 'startsWith') return partsOf(condition).flatMap(openPrefixes)
  const { argument } = condition
  return argument.kind === 'literal' && !argument.value.endsWith('/') ? [argument.value] : []
}

/** A rule that is looked at, and what is known of its credential. */
export interface RuleContext {
  /** The exact `iss` of each issuer by its name in the policy. */
  readonly issuers: ReadonlyMap<string, string>
  /** The policy's own, by name. */
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly rule: Rule
  readonly credential?: CredentialSummary
  readonly path: Path
  readonly warn: Report
  readonly pathOfScope: (scope: string) => Path
  /** What a name that no scope of Google has was probably meant to be. */
  readonly meantScope: (name: string) => string | undefined
}

/** Issuers of a policy, by name, whose JWTs came without a `jti` although each may be used once. */
export type IssuersWithoutJti = ReadonlySet<string>

/** Warns of what an issuer's entry asks for and its tokens do not have: every one of them would be refused. */
export function warnOfIssuer(
  { name, keys, replay }: TrustedIssuer,
  {
    path,
    warn,
    withoutJti,
  }: { readonly path: Path; readonly warn: Report; readonly withoutJti: IssuersWithoutJti },
): void {
  if (replay !== 'once') return
  const cure = 'each of them is refused; replay: allowed takes them, as often as they are shown'
  if (withoutJti.has(name)) warn([...path, 'replay'], `${quote(name)} signs without a jti, and so ${cure}`)
  else if (keys.from === 'jwks_uri' && keys.use === 'jwt-svid')
    warn([...path, 'replay'], `JWT-SVIDs have no jti as a rule, and then ${cure}`)
}

/** Warns of callers that an access token can never prove, because their rule leaves open for which client it is. */
export function warnOfAccessTokens(
  callers: readonly CallerPattern[],
  {
    issuers,
    path,
    warn,
  }: {
    /** By their names in the policy. */
    readonly issuers: ReadonlyMap<string, TrustedIssuer>
    readonly path: Path
    readonly warn: Report
  },
): void {
  for (const [index, pattern] of callers.entries()) {
    const { accepts = [] } = issuers.get(pattern.issuer) ?? {}
    if (accepts.includes('at+jwt') && !namesClient(pattern))
      warn(
        [...path, 'callers', index],
        `names no client_id among its claims, and so takes no access token (at+jwt) of ${quote(pattern.issuer)}`,
      )
  }
}
