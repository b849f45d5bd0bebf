import type { AccessBoundary } from '../domain/access-boundary.ts'
import type { AdminRule, Rule } from '../domain/policy.ts'
import { scopeSet } from '../domain/scopes.ts'
import { seconds } from '../domain/time.ts'
import { anybodyFault } from './check-policy.ts'
import { boundaryFaults, sampleBoundary, variableFaults } from '../boundaries/boundary.ts'
import type { AdminEntry, RuleEntry } from './policy-schema.ts'
import type { EntryPlace } from './read-entries.ts'
import { shortestLifeOfAny } from '../domain/credential.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** A rule of what its entry says; faults are reported, and then the result must not be used. */
export function readRule(entry: RuleEntry, place: EntryPlace): Rule {
  checkTokenTypes(entry, place)
  checkSignature(entry, place)
  checkLifetime(entry, place)
  const boundary = readBoundary(entry, place)
  return {
    name: entry.name,
    callers: entry.callers,
    credential: entry.credential,
    scopes: scopeSet(entry.scopes),
    excessScopes: entry.excess_scopes,
    givesImplied: entry.implied_scopes,
    ...(entry.lifetime_seconds_max !== undefined && { lifetimeMax: seconds(entry.lifetime_seconds_max) }),
    tokenTypes: [...new Set(entry.token_types)],
    idTokenAudiences: [...new Set(entry.id_token_audiences)],
    ...(entry.signature !== undefined && {
      signature: {
        storageBuckets: [...new Set(entry.signature.storage_buckets)],
        jwtAudiences: [...new Set(entry.signature.jwt_audiences)],
      },
    }),
    subjects: [...new Set(entry.subjects)],
    boundary,
  }
}

/** Likewise, an entry of `admins`. `issuers` has the exact `iss` by the policy's name for it. */
export function readAdmin(
  { callers, role }: AdminEntry,
  { path, report }: EntryPlace,
  issuers: ReadonlyMap<string, string>,
): AdminRule {
  for (const [index, caller] of callers.entries()) {
    const fault = anybodyFault(caller, issuers.get(caller.issuer))
    if (fault !== undefined) report([...path, 'callers', index], fault)
  }
  return { callers, role }
}

function checkTokenTypes(entry: RuleEntry, { path, report }: EntryPlace): void {
  const givesAccess = entry.token_types.includes('access_token')
  const givesIdentity = entry.token_types.includes('id_token')
  const [first, ...others] = new Set(entry.token_types)
  if (entry.token_types.includes('api_key') && others.length > 0)
    report([...path, 'token_types'], 'api_key stands alone: no token comes from an API key, and none is one')
  if (first === 'api_key' && entry.scopes.length > 0)
    report([...path, 'scopes'], 'mean nothing for an API key: it is limited where it was made')
  if (givesAccess && entry.scopes.length === 0)
    report([...path, 'scopes'], 'must name at least one scope: without one the rule gives no access token')
  if (givesIdentity && entry.id_token_audiences.length === 0)
    report([...path, 'id_token_audiences'], 'must name at least one audience, since token_types has id_token')
  if (!givesIdentity && entry.id_token_audiences.length > 0)
    report([...path, 'id_token_audiences'], 'means nothing unless token_types has id_token')
  if (!givesAccess && entry.subjects.length > 0)
    report([...path, 'subjects'], 'means nothing unless token_types has access_token')
  if (!givesAccess && entry.boundary.length > 0)
    report([...path, 'boundary'], 'means nothing unless token_types has access_token')
}

function checkSignature({ token_types: types, signature }: RuleEntry, { path, report }: EntryPlace): void {
  const place = [...path, 'signature']
  if (types.includes('signature') !== (signature !== undefined))
    report(
      signature === undefined ? [...path, 'token_types'] : place,
      signature === undefined
        ? 'has signature: say in signature what is signed, by storage_buckets or jwt_audiences'
        : 'means nothing unless token_types has signature',
    )
  if (signature !== undefined && signature.storage_buckets.length + signature.jwt_audiences.length === 0)
    report(place, 'must name at least one of storage_buckets and jwt_audiences')
  // T2: such a JWT would be changed into a token of all that the account may do.
  for (const [index, audience] of (signature?.jwt_audiences ?? []).entries())
    if (/googleapis\.com|accounts\.google\.com/i.test(audience))
      report(
        [...place, 'jwt_audiences', index],
        "is Google's: whoever has a JWT for it has the account itself, without scopes",
      )
}

function checkLifetime({ lifetime_seconds_max: wanted }: RuleEntry, { path, report }: EntryPlace): void {
  // What the rule's own credential can give is known only with the store: `checkPolicy` says it.
  if (wanted !== undefined && wanted < shortestLifeOfAny)
    report(
      [...path, 'lifetime_seconds_max'],
      `no upstream can make a token live less than ${shortestLifeOfAny} seconds, so ${wanted} could not be kept`,
    )
}

function readBoundary(entry: RuleEntry, { path, report }: EntryPlace): AccessBoundary {
  if (entry.boundary.length === 0) return []
  const boundary = entry.boundary.map(
    ({ availableResource, availablePermissions, availabilityCondition: when }) => ({
      availableResource,
      availablePermissions,
      ...(when !== undefined && {
        availabilityCondition: {
          expression: when.expression,
          ...omitUndefined({ title: when.title, description: when.description }),
        },
      }),
    }),
  )
  const variables = variableFaults(boundary)
  // A variable that is none would be judged as text.
  const faults = variables.length > 0 ? variables : boundaryFaults(sampleBoundary(boundary))
  for (const fault of faults)
    report([...path, 'boundary', ...fault.path], fault.text, omitUndefined({ at: fault.within }))
  return boundary
}
