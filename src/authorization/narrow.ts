import { BrokerError } from '../domain/broker-error.ts'
import {
  type CredentialSummary,
  tokenLifeOf,
  type TokenLifeOf,
  identifiesAsAccount,
} from '../domain/credential.ts'
import { formatScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { CompiledRule, RuleScopes } from '../policy/compile-policy.ts'
import { readScopes, scopesImpliedBy, fullScopeName, shortScopeName } from '../policy/scope-catalogue.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type { Rule } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import { seconds, type Seconds } from '../domain/time.ts'
import type { AccessBoundary, Bounding } from '../domain/access-boundary.ts'
import type { Caller } from '../domain/caller.ts'
import { boundaryFaults, describeBoundaryFault, type BoundaryFault } from '../boundaries/boundary.ts'
import { intersectBoundaries } from '../boundaries/intersect-boundaries.ts'
import type { Grant } from '../domain/grant.ts'

/**
 * Credential ∩ rule ∩ request, never empty (P13). An empty request asks for all the rule allows. A scope that a rule's
 * scope implies is given as it was asked for. What was asked for and cannot be had is refused with `scope_refused`, or
 * with `drop` in the rule left out; of a scope too broad there remains what the rule allows of that which it implies.
 */
export function narrowScopes(wanted: ScopeSet, rule: CompiledRule, credential: CredentialSummary): ScopeSet {
  const { name, excessScopes } = rule.rule
  const allowed = rule.scopesAt(credential.upstream)
  const asked = allowed.meant(wanted)
  const beyondRule = asked.filter((scope) => !allowed.allows(scope))
  if (beyondRule.length > 0 && excessScopes === 'refuse')
    throw refused(`beyond rule "${name}": ${shorten(beyondRule)}${slipsIn(beyondRule, credential)}`)

  const within = asked.length === 0 ? allowed.scopes : asked.filter(allowed.allows)
  const remains = beyondRule.length === 0 ? [] : remainsOf(beyondRule, allowed)
  const allowsNone = () => `rule "${name}" allows none of: ${shorten(asked)}`
  const consented = credential.consentedScopes
  if (consented === undefined) return someOf([...within, ...broadest(remains)], allowsNone)

  // docs/google.md §1.1: the upstream compares consented scopes as text; a wider one does not imply a narrower one.
  const notConsented = within.filter((scope) => !consented.includes(scope))
  const explanation = () =>
    `not consented for "${credential.name}": ${shorten(notConsented)}; consented: ${shorten(consented)}`
  if (notConsented.length > 0 && asked.length > 0 && excessScopes === 'refuse') throw refused(explanation())
  const has = (scope: string): boolean => consented.includes(scope)
  return someOf(
    [...within.filter(has), ...broadest(remains.filter(has))],
    within.length === 0 ? allowsNone : explanation,
  )
}

/** Words that are no scope of Google's, with the one that may be meant. */
function slipsIn(scopes: ScopeSet, { upstream }: CredentialSummary): string {
  const read = readScopes(upstream, scopes)
  return read.ok ? '' : `; ${read.faults.slice(0, 5).join('; ')}`
}

function remainsOf(beyondRule: ScopeSet, { allowedOf }: RuleScopes): ScopeSet {
  return scopeSet(beyondRule.flatMap(allowedOf))
}

/** Without those that another of them implies. */
function broadest(scopes: ScopeSet): ScopeSet {
  return scopes.filter((scope) => !scopes.some((other) => scopesImpliedBy(other).has(scope)))
}

/** The reason is told by a function: on the hot path nobody reads it. */
function someOf(scopes: ScopeSet, otherwise: () => string): ScopeSet {
  if (scopes.length === 0) throw refused(otherwise())
  return scopeSet(scopes)
}

function refused(reason: string): BrokerError {
  return new BrokerError('scope_refused', { reason, condition: 'scopes' })
}

function shorten(scopes: ScopeSet): string {
  const text = formatScope(scopes.slice(0, 20))
  return scopes.length > 20 || text.length > 1000 ? `${text.slice(0, 1000)} …` : text
}

export interface NarrowLifetime {
  readonly request: Pick<ExchangeRequest, 'lifetime' | 'tokenType' | 'subject'>
  readonly rule: { readonly rule: Rule }
  readonly credential: TokenLifeOf
}

/**
 * The longest life that the token may turn out to have. Where the upstream can shorten a token, it is what the
 * upstream is asked for: what the caller asks, within what the rule allows. Elsewhere it is the rule's, which minting
 * holds against what the upstream gave, and what cannot be kept is refused, never pretended: `request_malformed` where
 * the caller asked for it, `target_unavailable` where the rule does.
 */
export function narrowLifetime({ request, rule: { rule }, credential }: NarrowLifetime): Seconds | undefined {
  const { lifetime: asked } = request
  const { lifetimeMax } = rule
  const malformed = (fault: string, condition = 'requested_lifetime'): BrokerError =>
    new BrokerError('request_malformed', {
      reason: `rule ${quote(rule.name)}: ${fault}`,
      publicDetail: fault,
      condition,
    })
  if (asked !== undefined && (!Number.isSafeInteger(asked) || asked <= 0))
    throw malformed('requested_lifetime must be a whole number of seconds')
  if (asked !== undefined && lifetimeMax !== undefined && asked > lifetimeMax)
    throw malformed('requested_lifetime is longer than what this caller may have', 'lifetime_seconds_max')

  const { usual, choice } = tokenLifeOf(credential, request)
  if (lifetimeMax !== undefined && lifetimeMax < (choice?.shortest ?? usual ?? 0))
    throw new BrokerError('target_unavailable', {
      reason: `rule ${quote(rule.name)}: lifetime_seconds_max of ${lifetimeMax} cannot be kept, ${credential.kind} gives ${lifeInWords(usual)}`,
      condition: 'lifetime_seconds_max',
    })
  if (choice !== undefined) {
    if (asked !== undefined && asked < choice.shortest)
      throw malformed(`requested_lifetime is too short: the least is ${choice.shortest}`)
    const most = lifetimeMax ?? usual ?? choice.longest
    return seconds(Math.min(asked ?? usual ?? most, most, choice.longest))
  }
  if (asked !== undefined && (usual === undefined || asked < usual))
    throw malformed(
      "requested_lifetime is too short: the upstream of this credential cannot shorten a token's life",
    )
  // Not what was asked: tokens asked for with 3600 and 3601 seconds are the same token, and share a cache entry.
  return lifetimeMax
}

function lifeInWords(life: Seconds | undefined): string {
  return life === undefined || life === Infinity ? 'no less than it likes' : `tokens of ${life} s`
}

export interface BoundaryFor {
  readonly caller: Caller
  readonly credential: CredentialSummary
}

/**
 * The boundary that the token gets: the rule's, the caller's own, or where there are both what both reach; `undefined`
 * when there is neither. `request_malformed` where the caller's is not valid or cannot be compared with the rule's;
 * `target_unavailable` where the rule's has a variable for which the caller has no fitting claim, and where the
 * credential gives nothing that a boundary could be put on.
 */
export function narrowBoundary(
  asked: AccessBoundary | undefined,
  rule: CompiledRule,
  { caller, credential }: BoundaryFor,
): AccessBoundary | undefined {
  const { name, boundary } = rule.rule
  if (boundary.length === 0 && asked === undefined) return undefined
  const where = `rule ${quote(name)}`
  const malformed = (fault: BoundaryFault): BrokerError => {
    const publicDetail = describeBoundaryFault(fault)
    return new BrokerError('request_malformed', {
      reason: `${where}: ${publicDetail}`,
      publicDetail,
      condition: 'boundary',
    })
  }
  // docs/google.md §2.2: Google's STS puts boundaries on Google's access tokens.
  if (credential.upstream !== 'google')
    throw new BrokerError('target_unavailable', {
      reason: `${where}: ${quote(credential.name)} cannot be bounded, only an access token of Google's can`,
      condition: 'boundary',
    })
  const [fault] = asked === undefined ? [] : boundaryFaults(asked)
  if (fault !== undefined) throw malformed(fault)
  if (boundary.length === 0) return asked

  const own = rule.fillBoundary(caller.claims)
  if (!own.ok)
    throw new BrokerError('target_unavailable', {
      reason: `${where}, boundary: ${own.fault}`,
      condition: 'boundary',
    })
  if (asked === undefined) return own.value
  const both = intersectBoundaries(asked, own.value)
  if (!both.ok) throw malformed(both.fault)
  return both.boundary
}

/** What a token can live before Google says so, and a sealed one cannot be made to live less. */
const intermediaryLife = 3600
/** Google's own library takes no more, though the exchange takes ten. */
const sealedRulesMax = 9

/**
 * How the boundary is put on a token of this grant, and why so. With a source of cloud-platform, and where it is sealed
 * here, nothing but the boundary narrows the token: then each role has to be proved to lie within the granted scopes.
 * Throws `scope_refused` where one is not and the exchange would be no narrower.
 */
export function chooseBounding(
  grant: Pick<Grant, 'rule' | 'scopes' | 'lifetime' | 'subject'> & { readonly boundary: AccessBoundary },
  { kind, boundaries = {} }: CredentialSummary,
): Bounding {
  const { rule, scopes, lifetime, subject, boundary } = grant
  const source = boundaries.source ?? 'granted'
  const beyond = permissionBeyond(scopes, boundary)
  if (source === 'cloud-platform' && beyond !== undefined)
    throw new BrokerError('scope_refused', {
      reason:
        `rule ${quote(rule)}: ${beyond} of the boundary is not proved to lie within ${formatScope(scopes)}, and ` +
        'with boundary_source: cloud-platform nothing else would hold it back',
      condition: 'boundary',
    })
  const exchanged = (why: string): Bounding => ({ way: 'exchanged', source, why })
  if (boundaries.locally === undefined) return exchanged('the credential is not bounded_locally')
  if (!identifiesAsAccount.has(kind))
    return exchanged('only what is a service account can be bounded locally')
  if (boundaries.acceptUnproved === undefined && boundaries.intermediaryRefusedAt === undefined)
    return exchanged('it is not proved that Google refuses an intermediary token alone')
  if (subject !== undefined) return exchanged('the token is a user’s')
  if (lifetime !== undefined && lifetime < intermediaryLife)
    return exchanged(`${lifetime} s are allowed, and what is sealed lives as long as its intermediary token`)
  if (beyond !== undefined) return exchanged(`${beyond} is not proved to lie within the granted scopes`)
  if (boundary.length > sealedRulesMax) return exchanged(`the boundary has more than ${sealedRulesMax} rules`)
  return {
    way: 'sealed',
    source,
    why: 'the credential is bounded_locally, and every role lies within the granted scopes',
  }
}

/** What the scopes of Cloud Storage let a role be; the wider scopes all that Cloud Storage has (docs/google.md §2.4). */
const rolesWithin: readonly (readonly [scope: string, isWithin: (role: string) => boolean])[] = [
  ['devstorage.read_only', (role) => readingRoles.has(role)],
  ['devstorage.read_write', (role) => readingRoles.has(role) || writingRoles.has(role)],
  ['devstorage.full_control', (role) => role.startsWith('roles/storage.')],
  ['cloud-platform', (role) => role.startsWith('roles/storage.')],
]
const readingRoles: ReadonlySet<string> = new Set([
  'roles/storage.objectViewer',
  'roles/storage.legacyObjectReader',
  'roles/storage.legacyBucketReader',
  'roles/storage.bucketViewer',
])
const writingRoles: ReadonlySet<string> = new Set([
  'roles/storage.objectCreator',
  'roles/storage.objectUser',
  'roles/storage.legacyBucketWriter',
])

/**
 * The first permission of a boundary that is not proved to lie within the scopes; `undefined` where all are. Of custom
 * roles nothing is known.
 */
function permissionBeyond(scopes: ScopeSet, boundary: AccessBoundary): string | undefined {
  const known = new Set(scopes.map((scope) => shortScopeName(fullScopeName(scope))))
  const isProved = (permission: string): boolean =>
    rolesWithin.some(([scope, isWithin]) => known.has(scope) && isWithin(permission.replace(/^inRole:/, '')))
  return boundary
    .flatMap(({ availablePermissions }) => availablePermissions)
    .find((permission) => !isProved(permission))
}
