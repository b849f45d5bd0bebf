import { parse } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { createAuthorize } from '../../src/authorization/authorize.ts'
import { compilePolicy } from '../../src/policy/compile-policy.ts'
import type { AccessBoundary } from '../../src/domain/access-boundary.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import type { Grant } from '../../src/domain/grant.ts'
import type { Rule } from '../../src/domain/policy.ts'
import { scopeSet } from '../../src/domain/scopes.ts'
import { Secret } from '../../src/domain/secret.ts'
import { seconds } from '../../src/domain/time.ts'
import { bucket, creator, reach, user, viewer } from './boundaries.ts'
import { callerOf, credentialWith, policyOf, ruleWith } from './policies.ts'

// ── What is issued is judged by what it lets its holder do, in a small world of acts. Nothing here asks our code. ──

/** Each act, and the scopes that its API takes for it. */
const acts: Readonly<Record<string, readonly string[]>> = {
  'list instances': ['cloud-platform', 'compute', 'compute.readonly'],
  'start an instance': ['cloud-platform', 'compute'],
  'read an object': [
    'cloud-platform',
    'devstorage.full_control',
    'devstorage.read_write',
    'devstorage.read_only',
  ],
  // A rule with `read_write` gives `read_only` by name, and with it this; so the policy's author allows it.
  'read an HMAC key': [
    'cloud-platform',
    'devstorage.full_control',
    'devstorage.read_write',
    'devstorage.read_only',
  ],
  'write an object': ['cloud-platform', 'devstorage.full_control', 'devstorage.read_write'],
  'change who may': ['cloud-platform', 'devstorage.full_control'],
  'read a file of Drive': ['drive', 'drive.readonly'],
  'write a file of Drive': ['drive'],
  'know the address': ['email', 'userinfo.email'],
  'know who it is': ['openid'],
}
const roles: Readonly<Record<string, readonly string[]>> = {
  [viewer]: ['get'],
  [creator]: ['create'],
  [user]: ['get', 'create', 'delete'],
  'inRole:roles/acme.custom': ['get', 'purge'],
}
const places = ['a', 'b'].flatMap((name) =>
  ['get', 'create', 'delete', 'purge'].flatMap((permission) =>
    [true, false].flatMap((c) => [true, false].map((d) => ({ name, permission, c, d }))),
  ),
)

export interface Situation {
  readonly rule: Rule
  readonly credential: CredentialSummary
  readonly request: ExchangeRequest
}

/** The promise in its plainest words. */
export function isNoWider(grant: Grant, { rule, credential, request }: Situation): boolean {
  const { scopes, boundary, lifetime, tokenType, subject } = grant
  const does = actsOf(scopes, credential)
  const life = isShortened(grant) || credential.upstream !== 'google' ? (lifetime ?? Infinity) : 3600
  return (
    does.every((act) => actsOf(rule.scopes, credential).includes(act)) &&
    (rule.givesImplied || scopes.every((scope) => isNamed(scope, rule.scopes))) &&
    does.every((act) => request.scopes.length === 0 || actsOf(request.scopes, credential).includes(act)) &&
    scopes.every((scope) => credential.consentedScopes?.includes(scope) ?? true) &&
    // An ID token opens nothing of Cloud Storage.
    (does.length === 0 ||
      places.every(
        (at) => !reaches(boundary, at) || (reaches(request.boundary, at) && reaches(ownOf(rule), at)),
      )) &&
    life <= (rule.lifetimeMax ?? Infinity) &&
    (request.lifetime === undefined || life <= request.lifetime) &&
    tokenType === request.tokenType &&
    rule.tokenTypes.includes(tokenType) &&
    subject === request.subject &&
    (subject === undefined || rule.subjects.includes(subject))
  )
}

function isNamed(scope: string, words: readonly string[]): boolean {
  return words.some((word) => word === scope || `https://www.googleapis.com/auth/${word}` === scope)
}

function actsOf(scopes: readonly string[], { upstream }: CredentialSummary): readonly string[] {
  if (upstream !== 'google') return scopes
  const names = scopes.map((scope) => scope.replace('https://www.googleapis.com/auth/', ''))
  return Object.keys(acts).filter((act) => acts[act]?.some((scope) => names.includes(scope)))
}

function reaches(boundary: AccessBoundary | undefined, at: (typeof places)[number]): boolean {
  if (boundary === undefined) return true
  return boundary.some(
    ({ availableResource, availablePermissions, availabilityCondition: when }) =>
      availableResource === bucket(`bucket-${at.name}`) &&
      availablePermissions.some((role) => roles[role]?.includes(at.permission)) &&
      (when === undefined || holds(when.expression, at)),
  )
}

type Condition = (facts: { readonly resource: { readonly name: string } }) => unknown
const parsed = new Map<string, Condition>()

/** What is no expression holds nowhere: Google gives no token for it. */
function holds(expression: string, { c, d }: (typeof places)[number]): boolean {
  const known = parsed.get(expression) ?? conditionOf(expression)
  parsed.set(expression, known)
  return known({ resource: { name: `${c ? 'c' : ''}/${d ? 'd' : ''}` } }) === true
}

function conditionOf(expression: string): Condition {
  try {
    return parse(expression)
  } catch {
    return () => false
  }
}

function ownOf({ boundary }: Rule): AccessBoundary | undefined {
  return boundary.length === 0 ? undefined : boundary
}

/** Of an impersonated account Google gives an access token the life that it is asked for, unless for a user. */
function isShortened({ credential, tokenType, subject }: Grant): boolean {
  return credential.kind === 'impersonation' && tokenType === 'access_token' && subject === undefined
}

// ── Random pairs. ──

const words = [...new Set(Object.values(acts).flat())]
const urls = words.map((word) =>
  ['openid', 'email'].includes(word) ? word : `https://www.googleapis.com/auth/${word}`,
)
const some = <T>(items: readonly T[], min = 0, max = 4) =>
  fc.uniqueArray(fc.constantFrom(...items), { minLength: min, maxLength: max })
const maybe = <T>(items: readonly T[]) => fc.constantFrom(...items.map(() => undefined), ...items)
const given = <Name extends string, T>(name: Name, value: T | undefined): Partial<Record<Name, T>> =>
  value === undefined ? {} : ({ [name]: value } as Partial<Record<Name, T>>)

const conditions = [
  "resource.name.startsWith('c')",
  "resource.name.endsWith('d')",
  "resource.name.startsWith('c') || resource.name.endsWith('d')",
  "!resource.name.startsWith('c') // or so",
]
const boundaryRule = fc
  .record({
    name: fc.constantFrom('a', 'b'),
    permissions: some(Object.keys(roles), 1, 2),
    condition: maybe([...conditions, "resource.name == 'c') || (true"]),
  })
  .map(({ name, permissions, condition }) =>
    reach({
      availableResource: bucket(`bucket-${name}`),
      availablePermissions: permissions,
      ...given('availabilityCondition', condition === undefined ? undefined : { expression: condition }),
    }),
  )
const aBoundary = fc.array(boundaryRule, { minLength: 1, maxLength: 3 })
const sound = aBoundary.filter((boundary) =>
  boundary.every(
    ({ availabilityCondition: when }) => when === undefined || !/\) \|\| \(/.test(when.expression),
  ),
)
const tokenTypes = ['access_token', 'access_token', 'access_token', 'id_token'] as const
const base = policyOf([ruleWith()]).policy
const [baseRule] = base.rules

export const situations: fc.Arbitrary<Situation> = fc
  .record({
    scopes: some([...words, ...urls], 1, 10),
    asked: some(urls, 0, 3),
    consented: some(urls, 0, 12),
    excessScopes: fc.constantFrom('refuse' as const, 'drop' as const),
    givesImplied: fc.boolean(),
    credential: fc.constantFrom(
      { kind: 'service_account_key', upstream: 'google' } as const,
      { kind: 'refresh_token', upstream: 'google' } as const,
      { kind: 'refresh_token', upstream: 'acme' } as const,
      { kind: 'client_credentials', upstream: 'acme' } as const,
      { kind: 'impersonation', upstream: 'google' } as const,
      { kind: 'impersonation', upstream: 'google' } as const,
    ),
    lifetimeMax: maybe([60, 900, 3600, 7200]),
    lifetime: maybe([30, 300, 900, 3600, 3600, 5000]),
    types: some(tokenTypes, 1, 2),
    tokenType: fc.constantFrom(...tokenTypes),
    own: fc.option(sound, { freq: 2 }),
    boundary: fc.option(aBoundary),
    subjects: some(['ann', 'bob']),
    subject: fc.constantFrom(...[1, 2, 3, 4, 5].map(() => undefined), 'ann', 'eve'),
  })
  .map((any) => {
    if (baseRule === undefined) throw new Error('the policy must have its rule')
    return {
      rule: {
        ...baseRule,
        scopes: scopeSet(any.scopes),
        excessScopes: any.excessScopes,
        givesImplied: any.givesImplied,
        tokenTypes: any.types,
        idTokenAudiences: ['https://run.example'],
        subjects: any.subjects,
        boundary: any.own ?? [],
        ...given('lifetimeMax', any.lifetimeMax === undefined ? undefined : seconds(any.lifetimeMax)),
      },
      credential: credentialWith({
        ...any.credential,
        ...given(
          'consentedScopes',
          any.credential.kind === 'refresh_token' ? scopeSet(any.consented) : undefined,
        ),
      }),
      request: {
        proof: { form: 'subject_token', assertion: new Secret('x') },
        target: 'reports',
        scopes: scopeSet(any.asked),
        tokenType: any.tokenType,
        ...given('boundary', any.boundary ?? undefined),
        ...given('lifetime', any.lifetime === undefined ? undefined : seconds(any.lifetime)),
        ...given('subject', any.subject),
      },
    }
  })

/** With everything at hand; the other tests have it all awaited. */
export async function authorize({ rule, credential, request }: Situation): Promise<Grant> {
  const compiled = compilePolicy({ ...base, rules: [rule] })
  return createAuthorize({
    policy: () => compiled,
    findCredential: () => credential,
    findNothing: () => undefined,
    brokerIssuer: 'https://tokens.acme.example',
  })(callerOf('exporter'), request)
}

/** What random situations came to. */
export interface NarrowingCounts {
  issued: number
  bounded: number
  both: number
  implied: number
  shortened: number
  refused: number
}

const refusals = new Set(['target_unavailable', 'scope_refused', 'request_malformed'])

/** So many random pairs of rule and request; throws at the first whose grant is wider than either, and shows it. */
export async function checkNarrowing(runs: number, seed?: number): Promise<NarrowingCounts> {
  const counts = { issued: 0, bounded: 0, both: 0, implied: 0, shortened: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(situations, async (situation) => {
      const grant = await authorize(situation).catch((error: unknown) => {
        if (!isBrokerError(error) || !refusals.has(error.code)) throw error
      })
      if (grant === undefined) {
        counts.refused += 1
        return true
      }
      const { rule, request } = situation
      counts.issued += 1
      if (grant.boundary !== undefined) counts.bounded += 1
      if (request.boundary !== undefined && rule.boundary.length > 0) counts.both += 1
      if (grant.scopes.some((scope) => !rule.scopes.includes(scope))) counts.implied += 1
      if (isShortened(grant) && grant.lifetime !== 3600) counts.shortened += 1
      return isNoWider(grant, situation)
    }),
    { numRuns: runs, ...given('seed', seed) },
  )
  return counts
}
