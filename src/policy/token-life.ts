import type { CredentialKind } from '../domain/credential.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import { seconds, type Seconds } from '../domain/time.ts'

/** What is known beforehand of the life of an upstream's tokens. */
export interface TokenLife {
  /** What it gives unasked, and never more; absent where only the token itself will tell. */
  readonly usual?: Seconds
  /** What may be asked for; absent where the upstream does not let it be chosen. */
  readonly choice?: { readonly shortest: Seconds; readonly longest: Seconds }
}

export interface TokenLifeOf {
  readonly kind: CredentialKind
  readonly upstream: string
}

/** Google gives `expires_in` of just under 3600 s, for a refresh token and for a signed assertion alike. */
const hour = seconds(3600)
const unknown: TokenLife = {}
/**
 * docs/google.md §3.1: an hour, up to twelve where an organisation policy allows it. What lives less than a minute is
 * over before it is used.
 */
const impersonated: TokenLife = {
  usual: hour,
  choice: { shortest: seconds(60), longest: seconds(12 * 3600) },
}

/** The life of the tokens that a credential gives: the one place that says which upstream can shorten it. */
export function tokenLifeOf(
  { kind, upstream }: TokenLifeOf,
  { tokenType, subject }: Pick<ExchangeRequest, 'tokenType' | 'subject'>,
): TokenLife {
  switch (kind) {
    case 'service_account_key':
    case 'broker_identity':
      return { usual: hour }
    case 'refresh_token':
      return upstream === 'google' ? { usual: hour } : unknown
    case 'client_credentials':
      return unknown
    case 'impersonation':
      // Neither generateIdToken takes a lifetime, nor the token endpoint that is shown a signed assertion.
      return tokenType === 'access_token' && subject === undefined ? impersonated : { usual: hour }
    case 'api_key':
    case 'oauth_client':
      return { usual: seconds(Infinity) }
  }
}

/** The shortest life any kind of credential can give: a rule below it could never be kept. */
export const shortestLifeOfAny = seconds(60)
