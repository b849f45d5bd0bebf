import type { CredentialKind } from '../domain/credential.ts'
import { seconds, type Seconds } from '../domain/time.ts'

/**
 * The life that the upstream of each kind of credential gives its tokens, where nothing can make it shorter. A kind
 * whose upstream takes a lifetime (as IAM Credentials does for impersonation) will say so here and nowhere else.
 * Source: Google gives `expires_in` of just under 3600 s for a refresh token and for a signed assertion alike.
 */
const fixedLife: Readonly<Record<CredentialKind, Seconds>> = {
  service_account_key: seconds(3600),
  refresh_token: seconds(3600),
  client_credentials: seconds(3600),
  impersonation: seconds(3600),
  broker_identity: seconds(3600),
  api_key: seconds(3600),
}

/** The shortest life a token of that kind of credential can be given. */
export function shortestLife(kind: CredentialKind): Seconds {
  return fixedLife[kind]
}

/** The shortest life any kind of credential can give: a rule below it could never be kept. */
export function shortestLifeOfAny(): Seconds {
  return seconds(Math.min(...Object.values(fixedLife)))
}
