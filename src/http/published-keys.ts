import type { Hono } from 'hono'

import type { PublishedJwk } from '../domain/published-jwk.ts'
import type { Entropy } from '../ports/entropy.ts'
import { jsonAnswer } from './json-answer.ts'
import { issuerUrl, keySetPath } from './metadata.ts'

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
export function addPublishedKeys(
  app: Hono,
  { issuer, keys, entropy, at, metadataAt }: PublishedKeysDeps,
): void {
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
