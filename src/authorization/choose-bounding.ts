import type { AccessBoundary, Bounding } from '../domain/access-boundary.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { identifiesAsAccount, type CredentialSummary } from '../domain/credential.ts'
import type { Grant } from '../domain/grant.ts'
import { quote } from '../domain/text.ts'
import { formatScope, type ScopeSet } from '../domain/scopes.ts'
import { fullScopeName, shortScopeName } from '../policy/scope-catalogue.ts'

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
