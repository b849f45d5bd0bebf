import { BrokerError } from '../domain/broker-error.ts'
import type { GrantedCredential } from '../domain/grant.ts'
import type { Upstream } from '../domain/upstream.ts'
import { createDiscoverEndpoints, type DiscoverEndpointsDeps } from './metadata.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ResolveUpstreamDeps extends DiscoverEndpointsDeps {
  /** Where Google's own tokens come from. */
  readonly tokenUrl: string
  /** Where people consent at Google. */
  readonly authorizationUrl?: string
  /** The other upstreams, by the policy in force. Throws `policy_unavailable`. */
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
}

/** An upstream whose endpoints are known. */
export interface ResolvedUpstream {
  readonly upstream: Upstream
  readonly tokenUrl: string
  /** Absent where there is none; Google's is a setting of its own. */
  readonly revocationUrl?: string
  /** RFC 7662, where it has one on the same host. */
  readonly introspectionUrl?: string
  /** Where the keys lie that its access tokens verify by, on the same host. */
  readonly keysUrl?: string
  /** Where people consent; absent where nobody can. */
  readonly authorizationUrl?: string
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
      return reachedAt(token, {
        revocationUrl: revocation,
        introspectionUrl: introspection,
        keysUrl: keys,
        authorizationUrl: authorization,
      })
    }
    const found = await discover(endpoints.issuer)
    const { announcesIssuer = false, hasOfflineAccess = false } = found
    const reached = reachedAt(found.tokenEndpoint, {
      revocationUrl: found.revocationEndpoint,
      introspectionUrl: found.introspectionEndpoint,
      keysUrl: found.jwksUri,
      authorizationUrl: found.authorizationEndpoint,
    })
    return { ...reached, announcesIssuer, hasOfflineAccess }
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

type Beside = Readonly<
  Record<'revocationUrl' | 'introspectionUrl' | 'keysUrl' | 'authorizationUrl', string | undefined>
>

function reachedAt(
  tokenUrl: string,
  { revocationUrl, introspectionUrl, keysUrl, authorizationUrl }: Beside,
): Omit<ResolvedUpstream, 'upstream'> {
  return {
    tokenUrl,
    ...omitUndefined({ revocationUrl, introspectionUrl, keysUrl, authorizationUrl }),
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
