import en from 'zod/v4/locales/en.js'
import type * as z from 'zod/mini'
import type { Json } from '../domain/caller.ts'
import { isList, memberOf } from '../domain/json.ts'
import { keptFaultsMax, type FaultDetails, type Path, type Report } from './policy-faults.ts'
import { isLoopbackUrl, issuerUrlFault, urlFault } from '../domain/url.ts'
import type { IssuerKeys, TrustedIssuer } from '../domain/policy.ts'
import { algorithmsFitting, type PublicJwk, type SigningAlgorithm } from '../domain/jwk.ts'
import { quote } from '../domain/text.ts'
import { seconds } from '../domain/time.ts'
import type { IssuerEntry, UpstreamEntry } from './policy-schema.ts'
import type { Upstream, UpstreamConsent, UpstreamEndpoints } from '../domain/upstream.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ReadEntry<Entry> {
  /** Absent where nothing can be made of it. */
  readonly entry: Entry | undefined
  /** The members that have a fault: of these `entry` says nothing. */
  readonly faulty: ReadonlySet<string>
}

/**
 * What `schema` makes of `value`, every fault reported where it is. An entry with faults is still read, without the
 * members that have them and with those of `spare` where it must have them, so that what else is wrong with it shows
 * in the same run.
 */
export function readEntry<Entry>(
  schema: z.ZodMiniType<Entry>,
  value: Json,
  place: EntryPlace,
  spare: Readonly<Record<string, Json>> = {},
): ReadEntry<Entry> {
  const result = schema.safeParse(value, { error: wording })
  if (result.success) return { entry: result.data, faulty: none }
  const { issues } = result.error
  for (const issue of issues.slice(0, keptFaultsMax)) reportIssue(issue, value, place)
  const faulty = new Set(issues.flatMap(membersAtFault))
  if (typeof value !== 'object' || value === null || isList(value)) return { entry: undefined, faulty }
  const rest = Object.entries(value).filter(([name]) => !faulty.has(name))
  return { entry: schema.safeParse({ ...spare, ...Object.fromEntries(rest) }).data, faulty }
}

const none: ReadonlySet<string> = new Set()

function membersAtFault(issue: z.core.$ZodIssue): readonly string[] {
  const [member] = issue.path
  if (member !== undefined) return [String(member)]
  return issue.code === 'unrecognized_keys' ? issue.keys : []
}

/** zod/mini says nothing but "Invalid input" of itself. */
const wording = en().localeError

export interface EntryPlace {
  readonly path: Path
  readonly report: Report
}

function reportIssue(issue: z.core.$ZodIssue, value: Json, { path, report }: EntryPlace): void {
  const inner = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') {
    const lines = issue.message.split('\n')
    for (const [index, key] of issue.keys.slice(0, keptFaultsMax).entries()) {
      const line = lines[index] ?? ''
      const end = line.lastIndexOf('; ')
      const [text, hint] = end === -1 ? [line, undefined] : [line.slice(0, end), line.slice(end + 2)]
      report([...path, ...inner, key], text, {
        at: 'key',
        code: 'unknown_key',
        ...omitUndefined({ hint }),
      })
    }
    return
  }
  if (issue.code === 'invalid_key')
    report([...path, ...inner], issue.issues[0]?.message ?? issue.message, { at: 'key' })
  else if (isMissing(value, inner)) report([...path, ...inner], 'is missing', { code: 'missing' })
  else report([...path, ...inner], ...describeIssue(issue))
}

function isMissing(value: Json, path: Path): boolean {
  let found: Json | undefined = value
  for (const step of path) found = found === undefined ? undefined : memberOf(found, String(step))
  return found === undefined
}

function describeIssue(issue: z.core.$ZodIssue): [text: string, details: FaultDetails] {
  if (issue.code === 'invalid_union') return [describeUnion(issue), {}]
  if (issue.code !== 'invalid_type')
    return [issue.message.replace(/^(?:Invalid input|Invalid option|Too \w+): /, ''), {}]
  const text = issue.message.replace(/^Invalid input: /, '')
  return issue.expected === 'string' && /(?:number|boolean|null)$/.test(text)
    ? [text, { hint: 'put it in quotes' }]
    : [text, {}]
}

/** A branch that took the value's type and found another fault says more than "none of these". */
function describeUnion(issue: z.core.$ZodIssueInvalidUnion): string {
  const specific = issue.errors.flat().find((inner) => inner.code !== 'invalid_type')
  return specific?.message ?? issue.message
}

/** A trusted issuer of what its entry says; faults are reported, and then the result must not be used. */
export function readIssuer(entry: IssuerEntry, place: EntryPlace, brokerIssuer: string): TrustedIssuer {
  if (entry.accepts.length > 0 && entry.tolerated_audiences.length > 0)
    place.report(
      [...place.path, 'accepts'],
      'must not stand beside tolerated_audiences: an access token is for us alone',
    )
  if (entry.accepts.length > 0 && entry.self_issued)
    place.report([...place.path, 'accepts'], 'means nothing for an issuer that signs for itself')
  // T27: the development issuer is on loopback, and lets anybody in.
  if (isLoopbackUrl(entry.issuer) && !isLoopbackUrl(brokerIssuer))
    place.report(
      [...place.path, 'issuer'],
      'is on loopback, and this broker is not: trust no development issuer',
    )
  return {
    name: entry.name,
    issuer: entry.issuer,
    selfIssued: entry.self_issued,
    keys: readKeys(entry, place),
    audiences: [...new Set(entry.audiences ?? [brokerIssuer])],
    ...(entry.tolerated_audiences.length > 0 && { toleratedAudiences: entry.tolerated_audiences }),
    ...(entry.accepts.length > 0 && { accepts: entry.accepts }),
    algorithms: [...new Set(entry.algorithms)],
    lifetimeMax: seconds(entry.lifetime_seconds_max),
    replay: entry.replay,
    ...(entry.trust_traceparent && { trustsTraceparent: true }),
  }
}

function readKeys({ issuer, keys, algorithms }: IssuerEntry, { path, report }: EntryPlace): IssuerKeys {
  const { discovery, jwks_uri: jwksUri, jwks, use } = keys
  const given = [discovery, jwksUri, jwks].filter((way) => way !== undefined)
  if (given.length !== 1) report([...path, 'keys'], 'needs exactly one of discovery: true, jwks_uri and jwks')
  if (use !== undefined && jwksUri === undefined)
    report([...path, 'keys', 'use'], 'means nothing without jwks_uri')
  if (jwks !== undefined) {
    checkInlineKeys(jwks.keys, algorithms, { path: [...path, 'keys', 'jwks', 'keys'], report })
    return { from: 'inline', keys: jwks.keys }
  }
  if (jwksUri !== undefined) {
    const fault = urlFault(jwksUri)
    if (fault !== undefined) report([...path, 'keys', 'jwks_uri'], fault)
    return { from: 'jwks_uri', url: jwksUri, ...omitUndefined({ use }) }
  }
  const fault = issuerUrlFault(issuer)
  if (discovery === true && fault !== undefined)
    report([...path, 'issuer'], `keys are found by discovery, so the issuer ${fault}`)
  // OpenID Connect Discovery 1.0 §4.1: a terminating slash is removed first.
  return { from: 'discovery', url: `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration` }
}

function checkInlineKeys(
  keys: readonly PublicJwk[],
  algorithms: readonly SigningAlgorithm[],
  { path, report }: EntryPlace,
): void {
  const seen = new Set<string>()
  for (const [index, { kid }] of keys.entries()) {
    if (kid === undefined) continue
    if (seen.has(kid)) report([...path, index, 'kid'], `the kid ${quote(kid)} occurs twice`)
    seen.add(kid)
  }
  if (!keys.some((key) => algorithmsFitting(key).some((fitting) => algorithms.includes(fitting))))
    report(path, `none of these keys can be used with ${algorithms.join(', ')}`)
}

/** An upstream of what its entry says; faults are reported, and then the result must not be used. */
export function readUpstream(entry: UpstreamEntry, place: EntryPlace): Upstream {
  const { issuer, lifetime_seconds_default: lifetimeDefault } = entry
  return {
    name: entry.name,
    ...omitUndefined({ issuer }),
    endpoints: readEndpoints(entry, place),
    clientAuthentication: entry.client_auth,
    assertionAudience: readAssertionAudience(entry, place),
    scopeSeparator: entry.scope_separator,
    scopeInRefresh: entry.scope_in_refresh,
    tokenType: entry.token_type.toLowerCase(),
    ...(lifetimeDefault !== undefined && { lifetimeDefault: seconds(lifetimeDefault) }),
    readsTextualLifetime: entry.expires_in_text,
    refreshTokenRotates: entry.refresh_token_rotates ? 'always' : 'never',
    refusesWithStatus200: entry.errors_with_status_200,
    invalidGrantErrors: [...new Set(entry.invalid_grant_errors)],
    extraParameters: entry.extra_parameters,
    acceptsRoles: entry.accepts_roles,
    consent: readConsent(entry, place),
  }
}

function readEndpoints(entry: UpstreamEntry, { path, report }: EntryPlace): UpstreamEndpoints {
  const { issuer, discovery, token_endpoint: token } = entry
  const { revocation_endpoint: revocation, introspection_endpoint: introspection, jwks_uri: keys } = entry
  const beside = { revocation_endpoint: revocation, introspection_endpoint: introspection, jwks_uri: keys }
  const { authorization_endpoint: authorization } = entry
  if ((discovery === undefined) === (token === undefined))
    report(path, 'needs exactly one of discovery: true and token_endpoint')
  if (discovery === true) {
    const fault = issuer === undefined ? 'is missing' : issuerUrlFault(issuer)
    if (fault !== undefined)
      report([...path, 'issuer'], `endpoints are found by discovery, so the issuer ${fault}`)
    for (const [member, url] of Object.entries(beside))
      if (url !== undefined)
        report([...path, member], 'is found by discovery, and must not be stated beside it')
    if (authorization !== undefined)
      report([...path, 'authorization_endpoint'], 'is found by discovery, and must not be stated beside it')
    return { from: 'discovery', issuer: issuer ?? '' }
  }
  for (const [member, url] of Object.entries(beside))
    if (token !== undefined && url !== undefined && URL.parse(url)?.origin !== URL.parse(token)?.origin)
      report([...path, member], `must be on the host of token_endpoint: ${whyThere[member] ?? ''}`)
  if (keys !== undefined && issuer === undefined)
    report([...path, 'jwks_uri'], 'means nothing without issuer, whose tokens are to verify by these keys')
  const checked = { token_endpoint: token, ...beside, authorization_endpoint: authorization }
  for (const [member, url] of Object.entries(checked)) {
    const fault = url === undefined ? undefined : endpointFault(url)
    if (fault !== undefined) report([...path, member], fault)
  }
  return {
    from: 'policy',
    token: token ?? '',
    ...omitUndefined({ revocation, introspection, keys, authorization }),
  }
}

/** Whoever has an issuer most likely has ID tokens, and they say who consents. */
function readConsent(entry: UpstreamEntry, { path, report }: EntryPlace): UpstreamConsent {
  const { account_endpoint: account, subject_claims: subjectClaims } = entry
  const fault = account === undefined ? undefined : endpointFault(account.url)
  if (fault !== undefined) report([...path, 'account_endpoint', 'url'], fault)
  const scopes = entry.consent_scopes ?? (entry.issuer === undefined ? [] : ['openid', 'email'])
  return {
    scopes,
    parameters: entry.authorization_parameters,
    ...omitUndefined({ subjectClaims, account }),
  }
}

const whyThere: Readonly<Record<string, string>> = {
  revocation_endpoint: 'it is shown the same secrets',
  introspection_endpoint: 'it is shown the same secrets',
  jwks_uri: 'its word on what a token carries is believed',
}

/** RFC 6749 §3.2: the endpoint has no fragment, and may have a query. */
function endpointFault(url: string): string | undefined {
  return urlFault(url) ?? (url.includes('#') ? 'must have no fragment' : undefined)
}

/** The issuer is the safer one: an assertion for it is of no use at another server (draft-ietf-oauth-rfc7523bis). */
function readAssertionAudience(
  { issuer, client_auth: clientAuth, client_assertion_audience: stated }: UpstreamEntry,
  { path, report }: EntryPlace,
): Upstream['assertionAudience'] {
  const at = [...path, 'client_assertion_audience']
  if (stated !== undefined && clientAuth !== 'private_key_jwt')
    report(at, 'means nothing unless client_auth is private_key_jwt')
  if (stated === 'issuer' && issuer === undefined) report(at, 'is the issuer, which is not stated')
  return stated ?? (issuer === undefined ? 'token_endpoint' : 'issuer')
}
