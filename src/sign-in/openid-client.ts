import * as oauth from 'oauth4webapi'
import * as z from 'zod/mini'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { Claims } from '../domain/caller.ts'
import { isLoopbackUrl } from '../domain/url.ts'
import { type Secret, unguessable } from '../domain/secret.ts'
import { seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { HttpClient } from '../ports/http-client.ts'
import { authorizationRequestUrl } from '../oauth/authorization-request.ts'

export interface OpenIdClientDeps {
  readonly http: HttpClient
  readonly clock: Clock
  readonly entropy: Entropy
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: Secret | undefined
  readonly scope: string
  readonly redirectUri: string
}

/** What has to be known when the browser comes back. */
export interface OpenIdFlow {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

export type OpenIdAnswer =
  /** The claims of a valid ID token. */
  | { readonly ok: true; readonly claims: Claims }
  /** The issuer did not let the person in: `error` of RFC 6749 §4.1.2.1 or OpenID Connect Core §3.1.2.6. */
  | { readonly ok: false; readonly error: string }

export interface OpenIdClient {
  /** Throws `upstream_unavailable` while the issuer is down. */
  readonly begin: (more?: Readonly<Record<string, string>>) => Promise<OpenIdFlow & { readonly url: string }>
  /** Throws `upstream_unavailable`, and `admin_unauthenticated` for an answer that is not valid. */
  readonly finish: (parameters: URLSearchParams, flow: OpenIdFlow) => Promise<OpenIdAnswer>
}

/** An issuer moves its endpoints once in years. */
const metadataLifeMs = 3_600_000
/** How far our clock and the issuer's may be apart, as for any JWT (P5). */
const toleranceSeconds = 60

/**
 * OpenID Connect by the authorization code flow with PKCE (RFC 7636), `state`, `nonce` and, where the issuer announces
 * it, `iss` (RFC 9207). What an answer is worth is oauth4webapi's to judge; the ID token comes straight from the token
 * endpoint (OpenID Connect Core §3.1.3.7).
 */
export function createOpenIdClient(deps: OpenIdClientDeps): OpenIdClient {
  const { clock, clientId, redirectUri, scope } = deps
  const client: oauth.Client = { client_id: clientId, [oauth.clockTolerance]: toleranceSeconds }
  const options = {
    [oauth.customFetch]: fetchBy(deps.http),
    // oxlint-disable-next-line typescript/no-deprecated -- so marked to stand out: http is for loopback alone
    [oauth.allowInsecureRequests]: isLoopbackUrl(deps.issuer),
  }
  let held: { readonly server: oauth.AuthorizationServer; readonly readAtMs: number } | undefined

  const readServer = async (): Promise<oauth.AuthorizationServer> => {
    if (held !== undefined && clock.steadyMs() - held.readAtMs < metadataLifeMs) return held.server
    const issuer = new URL(deps.issuer)
    const server = await reaching(async () =>
      oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options)),
    )
    held = { server, readAtMs: clock.steadyMs() }
    return server
  }

  return {
    begin: async (more = {}) => {
      const server = await readServer()
      if (server.authorization_endpoint === undefined)
        throw down('its metadata has no authorization_endpoint')
      const flow = {
        state: unguessable(deps.entropy),
        nonce: unguessable(deps.entropy),
        verifier: unguessable(deps.entropy),
      }
      const request = { clientId, redirectUri, scope, ...flow }
      const url = await authorizationRequestUrl(server.authorization_endpoint, request, more)
      return { ...flow, url }
    },
    finish: async (parameters, { state, nonce, verifier }) => {
      const server = await readServer()
      try {
        const code = oauth.validateAuthResponse(server, client, parameters, state)
        const proof = clientProof(deps, server)
        const response = await reaching(() =>
          oauth.authorizationCodeGrantRequest(server, client, proof, code, redirectUri, verifier, options),
        )
        const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
          expectedNonce: nonce,
          requireIdToken: true,
        })
        return { ok: true, claims: claimsOf(oauth.getValidatedIdTokenClaims(tokens)) }
      } catch (error) {
        if (isBrokerError(error)) throw error
        if (error instanceof oauth.AuthorizationResponseError) return { ok: false, error: error.error }
        throw invalid(error)
      }
    },
  }
}

/** RFC 6749 §2.3.1: HTTP Basic is what every server takes, unless its metadata says otherwise. */
function clientProof(
  { clientSecret }: OpenIdClientDeps,
  server: oauth.AuthorizationServer,
): oauth.ClientAuth {
  if (clientSecret === undefined) return oauth.None()
  const ways = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  return ways.includes('client_secret_basic')
    ? oauth.ClientSecretBasic(clientSecret.reveal())
    : oauth.ClientSecretPost(clientSecret.reveal())
}

function claimsOf(token: oauth.IDToken | undefined): Claims {
  if (token === undefined) throw new TypeError('an ID token was required')
  return z.record(z.string(), z.json()).parse(token)
}

async function reaching<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw isBrokerError(error) ? error : down(codeOf(error))
  }
}

function down(why: string): BrokerError {
  return new BrokerError('upstream_unavailable', {
    reason: `the issuer that people sign in at: ${why}`,
    retryAfter: seconds(30),
  })
}

/** The library's messages may quote what was sent: only its code is kept. */
function invalid(error: unknown): BrokerError {
  return new BrokerError('admin_unauthenticated', {
    reason: `the issuer's answer to a sign-in is not valid: ${codeOf(error)}`,
  })
}

function codeOf(error: unknown): string {
  if (error instanceof oauth.ResponseBodyError) return `the token endpoint answers ${error.error}`
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'it could not be read'
}

const timeoutMs = 5_000
const maxBytes = 256 * 1024

interface FetchOptions {
  readonly body?: URLSearchParams | undefined
  readonly headers: Record<string, string>
  readonly method: 'GET' | 'POST'
}

/** `fetch` as oauth4webapi wants it, by our own client: with a deadline, a size cap and no redirects. */
function fetchBy(http: HttpClient) {
  return async (url: string, { method, headers, body }: FetchOptions): Promise<Response> => {
    const result = await http({ method, url, headers, body: body?.toString(), timeoutMs, maxBytes })
    if (result.kind === 'failure')
      throw new BrokerError('upstream_unavailable', {
        reason: `${new URL(url).origin} gave no answer: ${result.cause}: ${result.detail}`,
        retryAfter: seconds(30),
      })
    const kept = ['content-type', 'www-authenticate'].flatMap((name): [string, string][] => {
      const value = result.header(name)
      return value === undefined ? [] : [[name, value]]
    })
    return new Response(result.status === 204 ? null : result.body, { status: result.status, headers: kept })
  }
}
