import type { MaybePromise } from '../domain/promises.ts'
import { BrokerError, requestMalformed } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import {
  credentialName,
  identifiesAsAccount,
  missingOfConsent,
  type CredentialSummary,
} from '../domain/credential.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import { grantedCredential, type Grant, type GrantedCredential } from '../domain/grant.ts'
import { bucketIn } from '../domain/signable.ts'
import { quote } from '../domain/text.ts'
import { termsOf, type Upstream } from '../domain/upstream.ts'
import type { CompiledPolicy, CompiledRule } from '../policy/compile-policy.ts'
import { chooseBounding, narrowBoundary, narrowLifetime, narrowScopes } from './narrow.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface AuthorizeDeps {
  readonly policy: () => MaybePromise<CompiledPolicy>
  readonly findCredential: (name: string) => MaybePromise<CredentialSummary | undefined>
  /** Reads the store as `findCredential` does, and finds nothing. */
  readonly findNothing: (name: string) => MaybePromise<unknown>
  /** The broker's public URL. */
  readonly brokerIssuer: string
}

/**
 * What policy allows this caller of what it asks for, and never more (P13). Throws `target_unavailable`, alike for a
 * credential that is unknown, not allowed or disabled (P12), `scope_refused` and `request_malformed`. A credential
 * that no rule gives this caller is not even looked for; something else is, so that the refusal takes as long.
 */
export function createAuthorize(
  deps: AuthorizeDeps,
): (caller: Caller, request: ExchangeRequest) => Promise<Grant> {
  const findTarget = createFindTarget(deps)

  return async (caller, request) => {
    const policy = await deps.policy()
    const name = await findTarget(policy, caller, request.target)
    if (name === undefined)
      throw unavailable('audience', `the target ${quote(request.target)} names no credential`)
    const rule = policy.findRule(caller, name)
    if (rule === undefined) {
      await deps.findNothing(name)
      const { subject, issuer } = caller
      throw unavailable('rules', `no rule gives ${quote(name)} to ${quote(subject)} of ${quote(issuer)}`)
    }
    const credential = refuseUnlessEnabled(await deps.findCredential(name), name, rule)
    const upstream = policy.findUpstream(credential.upstream)
    const source = await findSource(deps, credential, rule)
    return narrow({ caller, request, rule, credential, upstream, source })
  }
}

function refuseUnlessEnabled(
  credential: CredentialSummary | undefined,
  name: string,
  rule: CompiledRule,
): CredentialSummary {
  if (credential === undefined)
    throw unavailable('credential', `${whereOf(rule)}: no credential ${quote(name)} is enrolled`)
  if (credential.state !== 'enabled')
    throw unavailable('credential.state', `${whereOf(rule)}: ${quote(name)} is ${credential.state}`)
  return credential
}

function whereOf({ rule }: CompiledRule): string {
  return `rule ${quote(rule.name)}`
}

/** What an impersonating credential draws on must be enabled as well, or disabling it would leave a way around. */
async function findSource(
  { findCredential }: AuthorizeDeps,
  { name, source: sourceName }: CredentialSummary,
  rule: CompiledRule,
): Promise<GrantedCredential | undefined> {
  if (sourceName === undefined) return undefined
  const source = await findCredential(sourceName)
  if (source?.state !== 'enabled')
    throw unavailable(
      'credential.source',
      `${whereOf(rule)}: ${quote(name)} draws on ${quote(sourceName)}, which is ${source?.state ?? 'not enrolled'}`,
    )
  if (source.source !== undefined)
    throw unavailable(
      'credential.source',
      `${whereOf(rule)}: ${quote(name)} draws on ${quote(sourceName)}, which draws on another itself`,
    )
  return grantedCredential(source)
}

interface Asked {
  readonly caller: Caller
  readonly request: ExchangeRequest
  readonly rule: CompiledRule
  readonly credential: CredentialSummary
  readonly source: GrantedCredential | undefined
  /** Where it is not Google. */
  readonly upstream: Upstream | undefined
}

function narrow(asked: Asked): Grant {
  const { caller, request, rule, credential, source } = asked
  const { kind } = credential
  if (!rule.rule.tokenTypes.includes(request.tokenType))
    throw unavailable('token_types', `rule ${quote(rule.rule.name)} gives no ${request.tokenType}`)
  if ((kind === 'api_key') !== (request.tokenType === 'api_key'))
    throw unavailable(
      'credential.kind',
      `rule ${quote(rule.rule.name)}: ${kind} ${quote(credential.name)} gives no ${request.tokenType}`,
    )
  // T18: it is there for others to draw on, and gives a token to nobody.
  if (kind === 'oauth_client')
    throw unavailable(
      'credential.kind',
      `rule ${quote(rule.rule.name)}: ${quote(credential.name)} is an OAuth client for connect, and gives no token`,
    )
  const grant = { caller, rule: rule.rule.name, credential: grantedCredential(credential, source) }

  if (request.tokenType === 'id_token') {
    const audience = idTokenAudience(asked)
    narrowLifetime(asked)
    return { ...grant, scopes: [], tokenType: 'id_token', audience }
  }
  if (request.tokenType === 'api_key') {
    refuseBeyondKey(request)
    narrowLifetime(asked)
    return { ...grant, scopes: [], tokenType: 'api_key' }
  }
  if (request.tokenType === 'signature') {
    const audience = signedFor(asked)
    const { toSign } = request
    return {
      ...grant,
      scopes: [],
      tokenType: 'signature',
      audience,
      ...omitUndefined({ toSign, lifetime: narrowLifetime(asked) }),
    }
  }
  if (request.resource !== undefined) throw requestMalformed('resource is for ID tokens only', 'resource')
  const scopes = narrowScopes(request.scopes, rule, credential)
  refuseLessThanConsented(scopes, credential, asked.upstream)
  const lifetime = narrowLifetime(asked)
  const subject = allowedSubject(asked)
  const boundary = narrowBoundary(request.boundary, rule, asked)
  const granted = {
    ...grant,
    scopes,
    tokenType: 'access_token' as const,
    ...(asked.upstream !== undefined && { upstreamTerms: termsOf(asked.upstream) }),
    ...omitUndefined({ lifetime, subject }),
  }
  if (boundary === undefined) return granted
  return { ...granted, boundary, bounding: chooseBounding({ ...granted, boundary }, credential) }
}

/** Nothing that the broker could do makes an API key smaller, and a request that wants that is not answered with one. */
function refuseBeyondKey({ scopes, resource, subject, boundary }: ExchangeRequest): void {
  const isMore =
    scopes.length > 0 || resource !== undefined || subject !== undefined || boundary !== undefined
  if (isMore)
    throw requestMalformed('an API key takes no scope, resource, subject or access boundary', 'token_types')
}

/** An ID token carries no scopes, acts for nobody else and cannot be bounded: what asks for that is malformed. */
function idTokenAudience({ request, rule, credential }: Asked): string {
  const { name, idTokenAudiences } = rule.rule
  if (!identifiesAsAccount.has(credential.kind))
    throw unavailable(
      'credential.kind',
      `rule ${quote(name)}: ${credential.kind} ${quote(credential.name)} cannot give ID tokens`,
    )
  if (request.subject !== undefined)
    throw requestMalformed('requested_subject is not possible for an ID token', 'requested_subject')
  if (request.boundary !== undefined)
    throw requestMalformed('an access boundary is not possible for an ID token', 'boundary')
  const [only, ...others] = idTokenAudiences
  const audience = request.resource ?? (others.length === 0 ? only : undefined)
  if (audience === undefined)
    throw requestMalformed('resource must name the audience of the ID token', 'resource')
  if (!idTokenAudiences.includes(audience))
    throw unavailable('id_token_audiences', `rule ${quote(name)} gives no ID token for ${quote(audience)}`)
  return audience
}

/** T1, T2: what a signature is for has to stand in the rule, and what shows nothing of that needs all of it. */
function signedFor({ request, rule, credential }: Asked): string {
  const { name, signature = { storageBuckets: [], jwtAudiences: [] } } = rule.rule
  const where = `rule ${quote(name)}`
  if (!identifiesAsAccount.has(credential.kind))
    throw unavailable(
      'credential.kind',
      `${where}: ${credential.kind} ${quote(credential.name)} signs nothing`,
    )
  const { resource } = request
  if (resource === undefined)
    throw unavailable(
      'signature',
      `${where}: neither a V2 or V4 string-to-sign, nor a POST policy, nor a JWT of aud, exp and jti alone`,
    )
  const bucket = bucketIn(resource)
  const { storageBuckets, jwtAudiences } = signature
  const isAllowed =
    bucket === undefined
      ? jwtAudiences.includes(resource)
      : storageBuckets.includes(bucket) || storageBuckets.includes('*')
  if (isAllowed) return resource
  throw unavailable(
    'signature',
    bucket === '*'
      ? `${where}: a V4 string-to-sign shows no bucket, so it needs storage_buckets: ['*']; V2, a POST policy and :signUrl show it`
      : `${where} signs nothing for ${quote(resource)}`,
  )
}

/** Without `requested_subject` the token is the credential's own, also where the rule names subjects. */
function allowedSubject({ request, rule, credential }: Asked): string | undefined {
  const { subject } = request
  if (subject === undefined) return undefined
  const where = `rule ${quote(rule.rule.name)}`
  // Domain-wide delegation is a service account's; a refresh token already is somebody's.
  if (!identifiesAsAccount.has(credential.kind))
    throw unavailable(
      'credential.kind',
      `${where}: ${credential.kind} ${quote(credential.name)} cannot act for another`,
    )
  if (!rule.matchSubject(subject))
    throw unavailable('subjects', `${where} does not allow acting for ${quote(subject)}`)
  return subject
}

export function unavailable(condition: string | undefined, reason: string): BrokerError {
  return new BrokerError('target_unavailable', { reason, condition })
}

/**
 * An upstream that takes no scope with a refresh, or that was seen to give more than was asked for, gives all that was
 * consented: whoever is granted less gets nothing, `scope_refused`, for a narrower token cannot be had.
 */
function refuseLessThanConsented(
  scopes: ScopeSet,
  credential: CredentialSummary,
  upstream: Upstream | undefined,
): void {
  const missing = missingOfConsent(scopes, credential, upstream)
  if (missing.length === 0) return
  const { name } = credential
  throw new BrokerError('scope_refused', {
    reason: `"${name}": upstream ${credential.upstream} cannot narrow a refresh, so rule and request must have all scopes consented; missing: ${missing.slice(0, 20).join(' ')}`,
    condition: 'scopes',
  })
}

export type FindTarget = (
  policy: CompiledPolicy,
  caller: Caller,
  target: string,
) => Promise<string | undefined>

/** What IAM Credentials calls a service account; the project is always the wildcard. */
const accountPrefix = 'projects/-/serviceAccounts/'
/** Whose rules are for more credentials has to name them: each is read to find its account's address. */
const credentialsMax = 100

/**
 * The name of the credential that a target means, `undefined` where it means none. `CREDENTIAL@HOST` comes before the
 * addresses of accounts, compared exactly; such an address has to mean exactly one credential that a rule gives
 * this caller (T4).
 */
export function createFindTarget({
  findCredential,
  brokerIssuer,
}: Omit<AuthorizeDeps, 'policy'>): FindTarget {
  const parseTarget = createParseTarget(brokerIssuer)
  const ours = `@${new URL(brokerIssuer).hostname}`

  const findByAddress = async (policy: CompiledPolicy, caller: Caller, email: string) => {
    const names = [...policy.credentialsFor(caller)]
    const found: string[] = []
    for (const name of names.length > credentialsMax ? [] : names) {
      const credential = await findCredential(name)
      if (credential?.identity === email && identifiesAsAccount.has(credential.kind)) found.push(name)
    }
    return found.length === 1 ? found[0] : undefined
  }

  return async (policy, caller, target) => {
    if (!target.startsWith(accountPrefix)) return parseTarget(target)
    const email = target.slice(accountPrefix.length)
    if (!email.endsWith(ours)) return findByAddress(policy, caller, email)
    const name = email.slice(0, -ours.length)
    return credentialName.test(name) ? name : undefined
  }
}

/**
 * The credential that an `audience` names: `NAME`, `//HOST/credentials/NAME` or `ISSUER/credentials/NAME`, where
 * host and issuer are this broker's, compared exactly. `undefined` for everything else.
 */
export function createParseTarget(brokerIssuer: string): (target: string) => string | undefined {
  const prefixes = [
    `//${new URL(brokerIssuer).host}/credentials/`,
    `${brokerIssuer.replace(/\/$/, '')}/credentials/`,
  ]
  return (target) => {
    const prefix = prefixes.find((candidate) => target.startsWith(candidate)) ?? ''
    const name = target.slice(prefix.length)
    return credentialName.test(name) ? name : undefined
  }
}
