import { BrokerError } from '../domain/broker-error.ts'
import {
  type CredentialSummary,
  tokenLifeOf,
  type TokenLifeOf,
  identifiesAsAccount,
} from '../domain/credential.ts'
import { formatScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { CompiledRule } from '../policy/compile-policy.ts'
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
 * The granted scopes: credential ∩ rule ∩ request, never empty (P13). A request without scopes asks for all that the
 * rule allows. A narrower scope than the rule names is granted as requested, where the rule's scope implies it. A
 * requested scope that cannot be granted is refused with `scope_refused`; with `excess_scopes: drop` in the rule it is
 * replaced by the narrower scopes that it implies and the rule allows, or left out.
 */
export function narrowScopes(wanted: ScopeSet, rule: CompiledRule, credential: CredentialSummary): ScopeSet {
  const { name, excessScopes } = rule.rule
  const allowed = rule.scopesAt(credential.upstream)
  const asked = allowed.meant(wanted)
  const beyondRule = asked.filter((scope) => !allowed.allows(scope))
  if (beyondRule.length > 0 && excessScopes === 'refuse')
    throw refused(`beyond rule "${name}": ${shorten(beyondRule)}${unknownScopes(beyondRule, credential)}`)

  const within = asked.length === 0 ? allowed.scopes : asked.filter(allowed.allows)
  const implied = beyondRule.length === 0 ? [] : scopeSet(beyondRule.flatMap(allowed.allowedOf))
  const allowsNone = () => `rule "${name}" allows none of: ${shorten(asked)}`
  const consented = credential.consentedScopes
  if (consented === undefined) return requireScopes([...within, ...broadest(implied)], allowsNone)

  // docs/google.md §1.1: the upstream compares consented scopes as text; a wider one does not imply a narrower one.
  const notConsented = within.filter((scope) => !consented.includes(scope))
  const explanation = () =>
    `not consented for "${credential.name}": ${shorten(notConsented)}; consented: ${shorten(consented)}`
  if (notConsented.length > 0 && asked.length > 0 && excessScopes === 'refuse') throw refused(explanation())
  const has = (scope: string): boolean => consented.includes(scope)
  return requireScopes(
    [...within.filter(has), ...broadest(implied.filter(has))],
    within.length === 0 ? allowsNone : explanation,
  )
}

/** Requested scopes that the upstream does not have, each with the scope that may be meant. */
function unknownScopes(scopes: ScopeSet, { upstream }: CredentialSummary): string {
  const read = readScopes(upstream, scopes)
  return read.ok ? '' : `; ${read.faults.slice(0, 5).join('; ')}`
}

/** Leaves out the scopes that another of them implies. */
function broadest(scopes: ScopeSet): ScopeSet {
  return scopes.filter((scope) => !scopes.some((other) => scopesImpliedBy(other).has(scope)))
}

/** `reason` is a function because a request that is granted does not need the text. */
function requireScopes(scopes: ScopeSet, reason: () => string): ScopeSet {
  if (scopes.length === 0) throw refused(reason())
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
 * The longest lifetime that the token may have, in seconds; `undefined` without limit. Where the upstream issues tokens
 * of a chosen lifetime, this is the one requested from it: the caller's, within the rule's. Elsewhere it is the rule's,
 * which minting compares with `expires_in`. A lifetime that the upstream cannot give is refused: `request_malformed`
 * where the caller requested it, `target_unavailable` where the rule demands it.
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
  return life === undefined || life === Infinity ? 'a lifetime of its own choice' : `tokens of ${life} s`
}

/**
 * The Credential Access Boundary of the token: the rule's, the requested one, or the intersection of both; `undefined`
 * without either. Throws `request_malformed` where the requested one is not valid or cannot be intersected with the
 * rule's, and `target_unavailable` where the caller lacks a claim that the rule's needs, or where tokens of the
 * credential cannot have a boundary.
 */
export function narrowBoundary(
  asked: AccessBoundary | undefined,
  rule: CompiledRule,
  { caller, credential }: { readonly caller: Caller; readonly credential: CredentialSummary },
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

/** Seconds. A token bounded locally lives as long as its intermediary token. */
const intermediaryLife = 3600
/** As many rules as Google's own library seals; the Security Token Service takes ten. */
const sealedRulesMax = 9

/**
 * How the boundary is put on a token of this grant, and why. Where the source token has cloud-platform, and where the
 * boundary is sealed locally, only the boundary narrows the token: each role must then lie within the granted scopes.
 * Throws `scope_refused` where one may not and the source token has cloud-platform.
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

/** The roles of Cloud Storage that lie within each scope (docs/google.md §2.4). */
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
 * The first permission of a boundary that may go beyond the scopes; `undefined` where none does. A custom role always
 * may: its permissions are not known here.
 */
function permissionBeyond(scopes: ScopeSet, boundary: AccessBoundary): string | undefined {
  const known = new Set(scopes.map((scope) => shortScopeName(fullScopeName(scope))))
  const isProved = (permission: string): boolean =>
    rolesWithin.some(([scope, isWithin]) => known.has(scope) && isWithin(permission.replace(/^inRole:/, '')))
  return boundary
    .flatMap(({ availablePermissions }) => availablePermissions)
    .find((permission) => !isProved(permission))
}
