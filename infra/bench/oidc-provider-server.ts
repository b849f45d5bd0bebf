import Provider from 'oidc-provider'
import { brokerIssuer, scope, tokenPath } from './names.ts'

// A program of its own: oidc-provider doing the same job. Client credentials with private_key_jwt, opaque tokens, and
// its own in-memory adapter, which keeps the `jti` of every assertion.

const env = process.env
const jwk: unknown = JSON.parse(env['BENCH_JWK'] ?? '')

const provider = new Provider(brokerIssuer, {
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  routes: { token: tokenPath },
  scopes: [scope],
  clients: [
    {
      client_id: env['BENCH_CALLER'] ?? '',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      jwks: { keys: [jwk] },
    },
  ],
})
provider.listen(Number(env['PORT']), '127.0.0.1')
