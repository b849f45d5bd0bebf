import { BrokerError, isBrokerError } from '../../domain/broker-error.ts'
import { parseJsonObject } from '../../domain/json-object.ts'
import { parseScope, type ScopeSet } from '../../domain/scopes.ts'
import type { Secret } from '../../domain/secret.ts'
import type { HttpClient } from '../../ports/http-client.ts'
import type { OwnIdentity } from '../../ports/own-identity.ts'
import type { GoogleIdentity } from './held-token.ts'
import { identityError } from './identity-error.ts'
import { askForToken, requireSuccess } from './identity-reply.ts'
import type { IdentitySource } from './identity-source.ts'

export interface OwnIdentityDeps {
  readonly source: IdentitySource
  /** Holds a token of cloud-platform of that source. */
  readonly acting: GoogleIdentity
  readonly http: HttpClient
  readonly tokeninfoUrl: string
}

/**
 * The broker's own identity as something to mint from. Where a platform may give more than it is asked for, Google is
 * asked what it gave.
 */
export function createOwnIdentity({ source, acting, http, tokeninfoUrl }: OwnIdentityDeps): OwnIdentity {
  const accessToken = async (scopes: ScopeSet) => {
    const { token: secret, lifetime } = await source.accessToken(scopes)
    if (source.heedsScopes) return { secret, lifetime }
    return { secret, lifetime, scopes: await askScopes(http, tokeninfoUrl, secret) }
  }
  return {
    actingToken: (refused) => asUpstream(acting(refused)),
    accessToken: (scopes) => asUpstream(accessToken(scopes)),
    idToken: (audience) => asUpstream(source.idToken(audience)),
    serviceAccount: () => asUpstream(source.serviceAccount()),
  }
}

/** docs/google.md §1.5; never as a parameter of the address, which ends in logs. */
async function askScopes(http: HttpClient, url: string, token: Secret): Promise<ScopeSet> {
  const answer = await askForToken(http, {
    method: 'POST',
    url,
    headers: {
      authorization: `Bearer ${token.reveal()}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    },
    body: '',
  })
  requireSuccess(answer, "Google's tokeninfo")
  const { scope } = parseJsonObject(answer.body) ?? {}
  const scopes = typeof scope === 'string' ? parseScope(scope) : undefined
  if (scopes === undefined) throw identityError("Google's tokeninfo names no scope of the token")
  return scopes
}

/** Here it is not the store that stands on this identity. */
async function asUpstream<T>(asking: Promise<T>): Promise<T> {
  try {
    return await asking
  } catch (error) {
    if (!isBrokerError(error) || error.code !== 'store_unavailable') throw error
    const { reason, retryAfter } = error
    throw new BrokerError('upstream_unavailable', {
      reason,
      ...(retryAfter === undefined ? {} : { retryAfter }),
    })
  }
}
