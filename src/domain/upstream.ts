import type { ScopeSet } from './scopes.ts'
import type { Seconds } from './time.ts'

/** How a client proves itself at a token endpoint (RFC 6749 §2.3.1, RFC 7523 §2.2), by the names of RFC 8414. */
export const clientAuthentications = [
  'client_secret_post',
  'client_secret_basic',
  'private_key_jwt',
  'none',
] as const

export type ClientAuthentication = (typeof clientAuthentications)[number]

/** An authorization server that we ask for tokens. What is peculiar to it is data here, and code nowhere. */
export interface Upstream {
  /** Credentials speak of this. */
  readonly name: string
  /** Its own identifier for itself, where known. */
  readonly issuer?: string
  readonly endpoints: UpstreamEndpoints
  readonly clientAuthentication: ClientAuthentication
  /** The `aud` of a client assertion. */
  readonly assertionAudience: 'issuer' | 'token_endpoint'
  readonly scopeSeparator: ' ' | ','
  /**
   * `omit`: it takes no scope with a refresh and always gives everything consented. Nothing can be narrowed then, and
   * whoever is allowed less than everything gets nothing.
   */
  readonly scopeInRefresh: 'send' | 'omit'
  /** The `token_type` of its bearer tokens, in lower case. */
  readonly tokenType: string
  /** The life of a token whose reply names none; absent, such a reply is refused. */
  readonly lifetimeDefault?: Seconds
  /** Whether `expires_in` may be a number in quotes. */
  readonly readsTextualLifetime: boolean
  /** Whether a refresh uses its refresh token up, so that its answer alone has the next one. */
  readonly refreshTokenRotates: 'never' | 'rarely' | 'always'
  /** Whether it sends its errors with status 200. */
  readonly refusesWithStatus200: boolean
  /** Its own names for `invalid_grant`. */
  readonly invalidGrantErrors: readonly string[]
  /** Sent along with every request for a token, like `audience` or `resource`. */
  readonly extraParameters: Readonly<Record<string, string>>
  /** Roles in its tokens count for nothing where the tokens go, so they need not shrink with the scopes (T7). */
  readonly acceptsRoles: boolean
  /** How people consent there. */
  readonly consent?: UpstreamConsent
}

export interface UpstreamConsent {
  /** Asked for beside what is wanted, to learn who consents, and not recorded. */
  readonly scopes: ScopeSet
  /** Of the authorization request, like `access_type`. */
  readonly parameters: Readonly<Record<string, string>>
  /** The claims of the ID token that together are one account; by default `sub`. */
  readonly subjectClaims?: readonly string[]
  /** Where an access token says whose it is, for a server without ID tokens. */
  readonly account?: AccountEndpoint
}

export interface AccountEndpoint {
  readonly url: string
  readonly method: 'GET' | 'POST'
  /** JSON Pointers (RFC 6901) into its answer: what never changes of the account, and what people call it. */
  readonly subject: string
  readonly name: string
}

/**
 * How often a request that may have taken effect is sent again. A refresh token that was used up and comes again looks
 * like theft (RFC 9700 §4.14.2): after a lost answer it is sent `once` more, and whatever is answered then counts.
 */
export type Repeatable = 'always' | 'once' | 'never'

/** The only addresses of an upstream that are ever called (P29). */
export type UpstreamEndpoints =
  | {
      readonly from: 'policy'
      readonly token: string
      readonly revocation?: string
      readonly introspection?: string
      /** Where the keys lie that its access tokens verify by. */
      readonly keys?: string
      /** Where people consent; absent, nothing can be connected. */
      readonly authorization?: string
    }
  /** Its metadata, at `issuer` (RFC 8414, OpenID Connect Discovery 1.0), says where they are. */
  | { readonly from: 'discovery'; readonly issuer: string }

/** Where a client of it proves itself; its endpoints all lie there. */
export function originOf({ endpoints }: Upstream): string {
  return new URL(endpoints.from === 'policy' ? endpoints.token : endpoints.issuer).origin
}

/** On what its tokens depend besides what each request asks for: a policy that changes this makes other tokens. */
export function termsOf({ endpoints, extraParameters, acceptsRoles }: Upstream): string {
  const { from } = endpoints
  const where = from === 'policy' ? { ...endpoints, authorization: undefined } : endpoints
  return JSON.stringify([where, extraParameters, ...(acceptsRoles ? ['roles'] : [])])
}
