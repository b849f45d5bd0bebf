import { BrokerError } from '../domain/broker-error.ts'
import type { GrantedCredential } from '../domain/grant.ts'
import type { Upstream } from '../domain/upstream.ts'
import { createDiscoverEndpoints, type DiscoverEndpointsDeps } from './metadata.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ResolveUpstreamDeps extends DiscoverEndpointsDeps {
  /** Where Google's own tokens come from. */
  readonly tokenUrl: string
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
}

/**
 * The upstream of a credential and where it is asked: at addresses of settings and policy, or where the metadata of
 * an issuer of the policy says (P29). Throws `target_unavailable` when policy has no such upstream, and what
 * discovery throws.
 */
export function createResolveUpstream(
  deps: ResolveUpstreamDeps,
): (credential: GrantedCredential) => Promise<ResolvedUpstream> {
  const discover = createDiscoverEndpoints(deps)
  const google = googleUpstream(deps.tokenUrl)

  const endpointsOf = async ({ endpoints }: Upstream): Promise<Omit<ResolvedUpstream, 'upstream'>> => {
    if (endpoints.from === 'policy') {
      const { token, revocation, introspection, keys } = endpoints
      return reachedAt(token, { revocationUrl: revocation, introspectionUrl: introspection, keysUrl: keys })
    }
    const found = await discover(endpoints.issuer)
    return reachedAt(found.tokenEndpoint, {
      revocationUrl: found.revocationEndpoint,
      introspectionUrl: found.introspectionEndpoint,
      keysUrl: found.jwksUri,
    })
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

type Beside = Readonly<Record<'revocationUrl' | 'introspectionUrl' | 'keysUrl', string | undefined>>

function reachedAt(
  tokenUrl: string,
  { revocationUrl, introspectionUrl, keysUrl }: Beside,
): Omit<ResolvedUpstream, 'upstream'> {
  return {
    tokenUrl,
    ...omitUndefined({ revocationUrl, introspectionUrl, keysUrl }),
  }
}

/** Google as an upstream like any other; only its address is a setting (docs/google.md §1.1). */
function googleUpstream(tokenUrl: string): Upstream {
  return {
    name: 'google',
    endpoints: { from: 'policy', token: tokenUrl },
    clientAuthentication: 'client_secret_post',
    assertionAudience: 'token_endpoint',
    scopeSeparator: ' ',
    scopeInRefresh: 'send',
    tokenType: 'bearer',
    readsTextualLifetime: false,
    // It uses no refresh token up now, and says that it may.
    mayRepeatRefresh: 'after_answer',
    refusesWithStatus200: false,
    invalidGrantErrors: [],
    extraParameters: {},
    acceptsRoles: false,
  }
}
