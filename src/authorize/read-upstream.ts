import { seconds } from '../domain/time.ts'
import type { Upstream, UpstreamEndpoints } from '../domain/upstream.ts'
import type { UpstreamEntry } from './policy-schema.ts'
import type { EntryPlace } from './read-entry.ts'
import { issuerUrlFault, urlFault } from './url-fault.ts'

/** An upstream of what its entry says; faults are reported, and then the result must not be used. */
export function readUpstream(entry: UpstreamEntry, place: EntryPlace): Upstream {
  const { issuer, lifetime_seconds_default: lifetimeDefault } = entry
  return {
    name: entry.name,
    ...(issuer === undefined ? {} : { issuer }),
    endpoints: readEndpoints(entry, place),
    clientAuthentication: entry.client_auth,
    assertionAudience: readAssertionAudience(entry, place),
    scopeSeparator: entry.scope_separator,
    scopeInRefresh: entry.scope_in_refresh,
    tokenType: entry.token_type.toLowerCase(),
    ...(lifetimeDefault === undefined ? {} : { lifetimeDefault: seconds(lifetimeDefault) }),
    readsTextualLifetime: entry.expires_in_text,
    mayRepeatRefresh: entry.refresh_token_rotates ? 'never' : 'always',
    refusesWithStatus200: entry.errors_with_status_200,
    invalidGrantErrors: [...new Set(entry.invalid_grant_errors)],
    extraParameters: entry.extra_parameters,
  }
}

function readEndpoints(entry: UpstreamEntry, { path, report }: EntryPlace): UpstreamEndpoints {
  const { issuer, discovery, token_endpoint: token, revocation_endpoint: revocation } = entry
  if ((discovery === undefined) === (token === undefined))
    report(path, 'needs exactly one of discovery: true and token_endpoint')
  if (discovery === true) {
    const fault = issuer === undefined ? 'is missing' : issuerUrlFault(issuer)
    if (fault !== undefined)
      report([...path, 'issuer'], `endpoints are found by discovery, so the issuer ${fault}`)
    if (revocation !== undefined)
      report([...path, 'revocation_endpoint'], 'is found by discovery, and must not be stated beside it')
    return { from: 'discovery', issuer: issuer ?? '' }
  }
  if (token !== undefined && revocation !== undefined && isElsewhere(revocation, token))
    report(
      [...path, 'revocation_endpoint'],
      'must be on the host of token_endpoint: it is shown the same secrets',
    )
  const checked = { token_endpoint: token, revocation_endpoint: revocation }
  for (const [member, url] of Object.entries(checked)) {
    const fault = url === undefined ? undefined : endpointFault(url)
    if (fault !== undefined) report([...path, member], fault)
  }
  return { from: 'policy', token: token ?? '', ...(revocation === undefined ? {} : { revocation }) }
}

function isElsewhere(url: string, other: string): boolean {
  return URL.parse(url)?.origin !== URL.parse(other)?.origin
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
