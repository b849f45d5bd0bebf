import type { Hono } from 'hono'
import { type PublishedJwk, signingAlgorithms } from '../domain/jwk.ts'
import type { Readiness } from '../service/readiness.ts'
import type { Entropy } from '../ports/entropy.ts'
import { jsonAnswer } from './answers.ts'
import openApi from './openapi.json' with { type: 'json' }
import type { Refuse } from './refuse.ts'
import { clientCredentialsGrant, tokenExchangeGrant } from './parse-token-request.ts'

export interface PublicRoutesDeps {
  readonly issuer: string
  readonly readiness: () => Promise<Readiness>
  readonly publishedKeys?: readonly PublishedJwk[]
  readonly entropy: Entropy
  /** Every path that a path below the issuer is reached at. */
  readonly at: (route: string) => string[]
  /** The issuer's own, empty for most. */
  readonly path: string
  readonly refuse: Refuse
}

/** What anybody may read: metadata, keys, the description of the API, and the broker status. */
export function addPublicRoutes(app: Hono, deps: PublicRoutesDeps): void {
  const { issuer, entropy, readiness, publishedKeys: keys, at, path, refuse } = deps
  const metadata = serverMetadata(issuer, { keys: keys !== undefined })
  // RFC 8414 §3.1: the well-known part goes between the host and the issuer's path.
  const metadataAt = (route: string) => (path === '' ? [route] : [...at(route), `${route}${path}`])
  app.on('GET', metadataAt('/.well-known/oauth-authorization-server'), () =>
    jsonAnswer({ status: 200, text: metadata, requestId: entropy.uuid() }),
  )
  if (keys !== undefined) addPublishedKeys(app, { issuer, keys, entropy, at, metadataAt })

  // Octets and not text: an answer that waits to be read then holds no copy of them.
  let description: Uint8Array<ArrayBuffer> | undefined
  app.on('GET', at('/openapi.json'), () => {
    description ??= new Uint8Array(
      new TextEncoder().encode(JSON.stringify({ ...openApi, servers: [{ url: issuerUrl(issuer, '') }] })),
    )
    return jsonAnswer({ status: 200, text: description, requestId: entropy.uuid() })
  })

  app.on('GET', at('/healthz'), () =>
    jsonAnswer({ status: 200, text: '{"status":"ok"}', requestId: entropy.uuid() }),
  )

  app.on('GET', at('/readyz'), async (context) => {
    const requestId = entropy.uuid()
    try {
      return readinessResponse(await readiness(), requestId)
    } catch (error) {
      return refuse(error, requestId, context.req.raw)
    }
  })
}

/** Stopped is no fault: an orchestrator that took the instance away would take the way to resume with it. */
function readinessResponse({ store, keyRing, policy, isStopped }: Readiness, requestId: string): Response {
  const isReady = [store, keyRing, policy].every((word) => word === 'ok')
  const status = isReady ? 'ok' : 'fault'
  const text = JSON.stringify({ status, store, key_ring: keyRing, policy, stopped: isStopped })
  return jsonAnswer({ status: isReady ? 200 : 503, text, requestId })
}

/** Where the broker's own public keys are, below the issuer. */
const keySetPath = '/.well-known/jwks.json'

/** RFC 8414 §2: says only what this server does, and takes every URL from the configured issuer. */
function serverMetadata(issuer: string, has: { readonly keys: boolean }): string {
  return JSON.stringify({
    issuer,
    token_endpoint: issuerUrl(issuer, '/v1/token'),
    revocation_endpoint: issuerUrl(issuer, '/v1/revoke'),
    revocation_endpoint_auth_methods_supported: ['private_key_jwt'],
    revocation_endpoint_auth_signing_alg_values_supported: [...signingAlgorithms, 'Ed25519'],
    introspection_endpoint: issuerUrl(issuer, '/v1/introspect'),
    ...(has.keys && { jwks_uri: issuerUrl(issuer, keySetPath) }),
    grant_types_supported: [tokenExchangeGrant, clientCredentialsGrant],
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    // What can be verified; which of them an issuer may use is policy and nobody's business.
    // RFC 9864 §2.2: `Ed25519` is accepted as the other name of what EdDSA means here, so it is told too.
    token_endpoint_auth_signing_alg_values_supported: [...signingAlgorithms, 'Ed25519'],
    // There is no authorization endpoint; RFC 8414 §2 requires the member all the same.
    response_types_supported: [],
  })
}

/** The public URL of a path of ours. */
export function issuerUrl(issuer: string, path: string): string {
  return `${withoutSlash(issuer)}${path}`
}

/** The issuer's path without its last slash: empty for most. */
export function issuerPath(issuer: string): string {
  return withoutSlash(new URL(issuer).pathname)
}

function withoutSlash(text: string): string {
  return text.endsWith('/') ? text.slice(0, -1) : text
}

export interface PublishedKeysDeps {
  readonly issuer: string
  readonly keys: readonly PublishedJwk[]
  readonly entropy: Entropy
  /** Where a route is: below the issuer's path too. */
  readonly at: (route: string) => string[]
  /** The same for metadata, which RFC 8414 places in one way and OpenID Connect in another. */
  readonly metadataAt: (route: string) => string[]
}

/** What verifiers need who trust the broker as an issuer, such as a workload identity pool: metadata and public keys. */
function addPublishedKeys(app: Hono, { issuer, keys, entropy, at, metadataAt }: PublishedKeysDeps): void {
  const configuration = openIdConfiguration(issuer, keys)
  app.on('GET', metadataAt('/.well-known/openid-configuration'), () =>
    jsonAnswer({ status: 200, text: configuration, requestId: entropy.uuid() }),
  )
  const keySet = JSON.stringify({ keys: keys.map(publicMembers) })
  app.on('GET', at(keySetPath), () => keySetAnswer(keySet, entropy.uuid()))
}

/** OpenID Connect Discovery 1.0 §3, as far as an issuer has it that signs assertions and logs nobody in. */
function openIdConfiguration(issuer: string, keys: readonly PublishedJwk[]): string {
  return JSON.stringify({
    issuer,
    jwks_uri: issuerUrl(issuer, keySetPath),
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...new Set(keys.map(({ alg }) => alg))],
  })
}

/**
 * Member by member, so that whatever else an object holds stays here. A key set that is uploaded to a pool provider may
 * have these members and no others (https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers#Oidc).
 */
function publicMembers(key: PublishedJwk): Readonly<Record<string, string>> {
  const { kid, alg } = key
  switch (key.kty) {
    case 'EC':
      return { kty: key.kty, alg, use: 'sig', kid, crv: key.crv, x: key.x, y: key.y }
    case 'RSA':
      return { kty: key.kty, alg, use: 'sig', kid, n: key.n, e: key.e }
  }
}

/** The one answer that may be cached: five minutes, as long as this broker itself keeps the keys of others. */
function keySetAnswer(text: string, requestId: string): Response {
  return new Response(text, {
    status: 200,
    headers: {
      'Content-Type': 'application/json',
      'Cache-Control': 'public, max-age=300',
      'X-Content-Type-Options': 'nosniff',
      'X-Request-Id': requestId,
    },
  })
}
