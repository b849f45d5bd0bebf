import { calculatePKCECodeChallenge } from 'oauth4webapi'

export interface AuthorizationRequest {
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
  readonly state: string
  /** Of OpenID Connect; without one no ID token is bound to this request. */
  readonly nonce?: string
  /** The PKCE code verifier. */
  readonly verifier: string
}

/** The URL at which a person is asked for an authorization code (RFC 6749 §4.1.1, RFC 7636); `more` adds parameters. */
export async function authorizationRequestUrl(
  endpoint: string,
  { clientId, redirectUri, scope, state, nonce, verifier }: AuthorizationRequest,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const url = new URL(endpoint)
  const parameters = {
    ...more,
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope,
    state,
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...(nonce !== undefined && { nonce }),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}
