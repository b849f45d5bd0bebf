import { BrokerError } from '../domain/broker-error.ts'
import type { GrantedCredential } from '../domain/grant.ts'
import type { Upstream } from '../domain/upstream.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import {
  byAge,
  createRefreshingValue,
  type RefreshingDeps,
  type RefreshingValue,
} from '../domain/refreshing-value.ts'
import type { HttpClient, HttpAnswer } from '../ports/http-client.ts'
import { isLoopback } from '../domain/url.ts'
import { parseJsonObject } from '../domain/json.ts'
import { seconds } from '../domain/time.ts'
import { invalidResponse } from './upstream-failure.ts'

interface ResolveUpstreamDeps extends DiscoverEndpointsDeps {
  /** Where Google's own tokens come from. */
  readonly tokenUrl: string
  /** Where people consent at Google. */
  readonly authorizationUrl?: string | undefined
  /** The other upstreams, by the policy in force. Throws `policy_unavailable`. */
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
}

/** An upstream whose endpoints are known. */
export interface ResolvedUpstream {
  readonly upstream: Upstream
  readonly tokenUrl: string
  /** Absent where there is none; Google's is a setting of its own. */
  readonly revocationUrl?: string | undefined
  /** RFC 7662, where it has one on the same host. */
  readonly introspectionUrl?: string | undefined
  /** Where the keys lie that its access tokens verify by, on the same host. */
  readonly keysUrl?: string | undefined
  /** Where people consent; absent where nobody can. */
  readonly authorizationUrl?: string | undefined
  /** Whether its answers to a consent say which server they come from (RFC 9207). */
  readonly announcesIssuer?: boolean
  /** By its metadata: the scope that makes a grant outlast its session. */
  readonly hasOfflineAccess?: boolean
}

/**
 * The upstream of a credential and where it is asked: at addresses of settings and policy, or where the metadata of
 * an issuer of the policy says (P29). Throws `target_unavailable` when policy has no such upstream, and what
 * discovery throws.
 */
export function createResolveUpstream(
  deps: ResolveUpstreamDeps,
): (credential: Pick<GrantedCredential, 'name' | 'upstream'>) => Promise<ResolvedUpstream> {
  const discover = createDiscoverEndpoints(deps)
  const google = googleUpstream(deps.tokenUrl, deps.authorizationUrl)

  const endpointsOf = async ({ endpoints }: Upstream): Promise<Omit<ResolvedUpstream, 'upstream'>> => {
    if (endpoints.from === 'policy') {
      const { token, revocation, introspection, keys, authorization } = endpoints
      return {
        tokenUrl: token,
        revocationUrl: revocation,
        introspectionUrl: introspection,
        keysUrl: keys,
        authorizationUrl: authorization,
      }
    }
    const found = await discover(endpoints.issuer)
    return {
      tokenUrl: found.tokenEndpoint,
      revocationUrl: found.revocationEndpoint,
      introspectionUrl: found.introspectionEndpoint,
      keysUrl: found.jwksUri,
      authorizationUrl: found.authorizationEndpoint,
      announcesIssuer: found.announcesIssuer,
      hasOfflineAccess: found.hasOfflineAccess,
    }
  }

  return async ({ name, upstream: wanted }) => {
    const upstream = wanted === google.name ? google : await deps.findUpstream(wanted)
    if (upstream === undefined)
      throw new BrokerError('target_unavailable', {
        reason: `credential ${name}: the policy in force has no upstream ${wanted}`,
      })
    return { upstream, ...(await endpointsOf(upstream)) }
  }
}

/** Google as an upstream like any other; only its address is a setting (docs/google.md §1.1). */
function googleUpstream(tokenUrl: string, authorization?: string): Upstream {
  return {
    name: 'google',
    endpoints: { from: 'policy', token: tokenUrl, ...omitUndefined({ authorization }) },
    issuer: 'https://accounts.google.com',
    clientAuthentication: 'client_secret_post',
    assertionAudience: 'token_endpoint',
    scopeSeparator: ' ',
    scopeInRefresh: 'send',
    tokenType: 'bearer',
    readsTextualLifetime: false,
    // It uses no refresh token up now, and says that it may.
    refreshTokenRotates: 'rarely',
    refusesWithStatus200: false,
    invalidGrantErrors: [],
    extraParameters: {},
    acceptsRoles: false,
    consent: {
      // Its events of revocation come only for who granted these (WIRE.md, 8).
      scopes: ['openid', 'email'],
      // docs/google.md: without these there is a refresh token only at the first consent, or none.
      parameters: { access_type: 'offline', prompt: 'consent' },
    },
  }
}

interface DiscoverEndpointsDeps extends RefreshingDeps {
  readonly http: HttpClient
}

/** An endpoint moves once in years, and then the old one answers for a while. */
const freshness = byAge({ freshMs: 3_600_000, staleMs: 86_400_000 })
/** Between two looks at an issuer that failed. */
const pauseMs = 30_000
/** Only issuers of a policy come here; this bounds what replaced policies leave behind. */
const issuersMax = 1_000

/**
 * The endpoints that an issuer's metadata names, at most an hour old while the issuer answers and a day when it
 * does not. After a failure it is not asked again for 30 s. Throws `upstream_unavailable` and `upstream_nonsense`.
 */
export function createDiscoverEndpoints({
  http,
  clock,
  sharesWork,
}: DiscoverEndpointsDeps): (issuer: string) => Promise<Metadata> {
  const known = createRecentlyUsed<RefreshingValue<Metadata>>({ sizeMax: issuersMax })

  return async (issuer) => {
    const read = () => readMetadata(http, issuer)
    const deps = { clock, sharesWork, read, freshness, pauseMs, remembersFailure: true }
    const metadata = known.get(issuer) ?? createRefreshingValue(deps)
    known.set(issuer, metadata)
    return await metadata.current()
  }
}

/** Together within the 3 s that a request waits for them. */
const timeoutMs = 1_400
const documentBytesMax = 64 * 1024
const retryAfter = seconds(30)

/** What an authorization server's metadata says of where to ask it (RFC 8414 §2). */
interface Metadata {
  readonly tokenEndpoint: string
  /** Absent where there is none, or it is not on the issuer's own host. */
  readonly revocationEndpoint: string | undefined
  /** Likewise. */
  readonly introspectionEndpoint: string | undefined
  readonly jwksUri: string | undefined
  /** Where people consent: a page that browsers go to, wherever it is, and that is sent no secret. */
  readonly authorizationEndpoint: string | undefined
  /** RFC 9207 §3. */
  readonly announcesIssuer: boolean
  /** Whether `scopes_supported` has `offline_access` (OpenID Connect Core §11). */
  readonly hasOfflineAccess: boolean
}

/**
 * Reads the metadata of exactly this issuer: RFC 8414's document, and OpenID Connect's where there is none. Nothing
 * but the issuer's own host is asked, and an endpoint on another host is refused (P29): whoever wants that states it
 * in policy. Throws `upstream_unavailable` and `upstream_nonsense`.
 */
async function readMetadata(http: HttpClient, issuer: string): Promise<Metadata> {
  const own = await fetchDocument(http, oauthMetadataUrl(issuer))
  const answer = isAbsent(own) ? await fetchDocument(http, openIdMetadataUrl(issuer)) : own
  if (answer.status !== 200) throw unreadable(issuer, `status ${answer.status}`)
  return parseMetadata(answer.body, issuer)
}

/** RFC 8414 §3.1: the well-known part comes before the issuer's path. */
function oauthMetadataUrl(issuer: string): string {
  const { origin, pathname } = new URL(issuer)
  return `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`
}

/** OpenID Connect Discovery 1.0 §4.1: and here after it. */
function openIdMetadataUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}

async function fetchDocument(http: HttpClient, url: string): Promise<HttpAnswer> {
  const headers = { accept: 'application/json' }
  // No retry: the next request asks, after the pause, and until then the last document serves.
  const result = await http({ method: 'GET', url, headers, timeoutMs, maxBytes: documentBytesMax })
  if (result.kind === 'answer') return result
  throw unreadable(url, `${result.cause}: ${result.detail}`)
}

/** Some servers answer 400, 401 or 403 to a path that they do not know. */
function isAbsent({ status }: HttpAnswer): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429
}

function parseMetadata(text: string, issuer: string): Metadata {
  const members = parseJsonObject(text)
  if (members === undefined) throw unfit(issuer, 'is no JSON object')
  // RFC 8414 §3.3: another issuer's document must not be used.
  if (members['issuer'] !== issuer) throw unfit(issuer, 'is of another "issuer"')
  const { token_endpoint: token } = members
  if (typeof token !== 'string') throw unfit(issuer, 'has no "token_endpoint"')
  if (!isPlainUrl(token)) throw unfit(issuer, 'has a "token_endpoint" that is no plain URL')
  if (!isOnHostOf(token, issuer))
    throw unfit(
      issuer,
      'has its "token_endpoint" on another host: state token_endpoint in the policy instead',
    )
  const beside = (member: string): string | undefined => {
    const url = members[member]
    return typeof url === 'string' && isPlainUrl(url) && isOnHostOf(url, issuer) ? url : undefined
  }
  const { authorization_endpoint: authorization, scopes_supported: scopes } = members
  return {
    tokenEndpoint: token,
    revocationEndpoint: beside('revocation_endpoint'),
    introspectionEndpoint: beside('introspection_endpoint'),
    jwksUri: beside('jwks_uri'),
    authorizationEndpoint:
      typeof authorization === 'string' && isSafePage(authorization) ? authorization : undefined,
    announcesIssuer: members['authorization_response_iss_parameter_supported'] === true,
    hasOfflineAccess: Array.isArray(scopes) && scopes.includes('offline_access'),
  }
}

/** https, or this very machine: what else it might be (`javascript:`), no browser is sent to. */
function isSafePage(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !isPlainUrl(text)) return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

function isPlainUrl(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && url.username === '' && url.password === '' && url.hash === ''
}

/** Its scheme with it: policy lets nothing but https be an issuer, and http on this very machine. */
function isOnHostOf(url: string, issuer: string): boolean {
  return new URL(url).origin === new URL(issuer).origin
}

function unreadable(place: string, why: string): BrokerError {
  return new BrokerError('upstream_unavailable', { reason: `metadata of ${place}: ${why}`, retryAfter })
}

function unfit(issuer: string, why: string): BrokerError {
  return invalidResponse(`the metadata of ${issuer} ${why}`)
}
