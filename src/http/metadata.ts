import { signingAlgorithms } from '../domain/signing-algorithm.ts'
import { clientCredentialsGrant, tokenExchangeGrant } from './parse-token-request.ts'

/** Where the broker's own public keys are, below the issuer. */
export const keySetPath = '/.well-known/jwks.json'

/** RFC 8414 §2: says only what this server does, and takes every URL from the configured issuer. */
export function serverMetadata(issuer: string, has: { readonly keys: boolean }): string {
  return JSON.stringify({
    issuer,
    token_endpoint: issuerUrl(issuer, '/v1/token'),
    revocation_endpoint: issuerUrl(issuer, '/v1/revoke'),
    revocation_endpoint_auth_methods_supported: ['private_key_jwt'],
    revocation_endpoint_auth_signing_alg_values_supported: [...signingAlgorithms, 'Ed25519'],
    introspection_endpoint: issuerUrl(issuer, '/v1/introspect'),
    ...(has.keys ? { jwks_uri: issuerUrl(issuer, keySetPath) } : {}),
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
