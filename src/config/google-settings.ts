import type { Reading } from '../domain/result.ts'
import { parseSigningKeys } from '../adapters/google-identity/signing-keys.ts'
import { parseOwnKey } from '../google/service-account-key.ts'
import { parseMetadataHost, parseBaseUrl, parseEndpoint } from './parse-url.ts'
import { optional, right, wrong, withDefault } from './setting.ts'
import { isServiceAccountEmail } from '../domain/google.ts'

/** Who the broker itself is towards Google: by a key, by federation, or by the metadata server. */
export const identitySettings = {
  googleCredentials: optional(
    (text) => {
      const reading = parseOwnKey(text)
      return reading.ok ? right(reading.value) : wrong(reading.fault)
    },
    {
      name: 'DOWNSCOPE_GOOGLE_CREDENTIALS',
      means:
        "The key file of the broker's own service account, for Firestore over REST, Cloud KMS and credentials " +
        'without a key. The value is the JSON itself, not its path. A secret.',
      without: 'the metadata server on Google Cloud (Node)',
      example: '$(cat downscope-key.json)',
    },
  ),
  signingKeys: optional(parseSigningKeys, {
    name: 'DOWNSCOPE_SIGNING_KEYS',
    means:
      "The broker's own private keys as a JWK set (P-256 or RSA). All are published at " +
      '`/.well-known/jwks.json`. The key with the latest `nbf` that is not in the future signs; if no key ' +
      'has an `nbf`, the first one signs. A secret.',
    without: 'required with `DOWNSCOPE_GOOGLE_FEDERATION`',
    example: '$(npx downscope keys generate signing)',
  }),
  googleFederation: optional(parsePoolProvider, {
    name: 'DOWNSCOPE_GOOGLE_FEDERATION',
    means:
      "The workload identity pool provider that trusts the broker's signing keys. With it the broker needs " +
      'no Google key. Not together with `DOWNSCOPE_GOOGLE_CREDENTIALS`.',
    example:
      '//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/downscope/providers/broker',
  }),
  googleServiceAccount: optional(parseServiceAccountEmail, {
    name: 'DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT',
    means: 'The service account to impersonate with `DOWNSCOPE_GOOGLE_FEDERATION`.',
    without: 'the federated principal itself',
    example: 'downscope@acme-tokens.iam.gserviceaccount.com',
  }),
  metadataHost: optional(parseMetadataHost, {
    name: 'GCE_METADATA_HOST',
    means: "The host of the metadata server that issues the broker's own token (Node).",
    without: '`metadata.google.internal`',
    example: '127.0.0.1:8090',
  }),
} as const

/** The only addresses of Google that are ever called (P29). */
export const googleEndpoints = {
  googleOauthTokenUrl: withDefault(parseEndpoint, {
    name: 'GOOGLE_OAUTH_TOKEN_URL',
    means: "Google's OAuth token endpoint. For tests only; https, or http on loopback.",
    default: 'https://oauth2.googleapis.com/token',
    example: 'http://127.0.0.1:9000/token',
  }),
  googleOauthAuthorizationUrl: withDefault(parseEndpoint, {
    name: 'GOOGLE_OAUTH_AUTHORIZATION_URL',
    means: "Google's consent page, to which a connect link leads. For tests only.",
    default: 'https://accounts.google.com/o/oauth2/v2/auth',
    example: 'http://127.0.0.1:9000/authorize',
  }),
  googleStsTokenUrl: withDefault(parseEndpoint, {
    name: 'GOOGLE_STS_TOKEN_URL',
    means:
      "Google's Security Token Service, which applies access boundaries. For tests only; https, or http on " +
      'loopback.',
    default: 'https://sts.googleapis.com/v1/token',
    example: 'http://127.0.0.1:9000/sts/v1/token',
  }),
  googleIamCredentialsUrl: withDefault(parseBaseUrl, {
    name: 'GOOGLE_IAM_CREDENTIALS_URL',
    means: "Google's IAM Credentials API, without `/v1`. For tests only; https, or http on loopback.",
    default: 'https://iamcredentials.googleapis.com',
    example: 'http://127.0.0.1:9000/iamcredentials',
  }),
  googleIamUrl: withDefault(parseBaseUrl, {
    name: 'GOOGLE_IAM_URL',
    means:
      "Google's IAM API, without `/v1`, which creates and deletes keys. For tests only; https, or http on " +
      'loopback.',
    default: 'https://iam.googleapis.com',
    example: 'http://127.0.0.1:9000/iam',
  }),
  googleKmsUrl: withDefault(parseBaseUrl, {
    name: 'GOOGLE_KMS_URL',
    means: "Google's Cloud KMS API, without `/v1`. For tests only; https, or http on loopback.",
    default: 'https://cloudkms.googleapis.com',
    example: 'http://127.0.0.1:9000/kms',
  }),
  googleRevokeUrl: withDefault(parseEndpoint, {
    name: 'GOOGLE_REVOKE_URL',
    means: "Google's revocation endpoint. For tests only; https, or http on loopback.",
    default: 'https://oauth2.googleapis.com/revoke',
    example: 'http://127.0.0.1:9000/revoke',
  }),
  googleTokeninfoUrl: withDefault(parseEndpoint, {
    name: 'GOOGLE_TOKENINFO_URL',
    means:
      "Google's tokeninfo endpoint, which says what a token of the metadata server carries. For tests only; " +
      'https, or http on loopback.',
    default: 'https://oauth2.googleapis.com/tokeninfo',
    example: 'http://127.0.0.1:9000/tokeninfo',
  }),
} as const

const poolProvider =
  /^\/\/iam\.googleapis\.com\/projects\/\d{1,20}\/locations\/global\/workloadIdentityPools\/[a-z0-9-]{4,32}\/providers\/[a-z0-9-]{4,32}$/

/** The full resource name of a workload identity pool's provider: what Google's STS takes for `audience`. */
function parsePoolProvider(text: string): Reading<string> {
  if (poolProvider.test(text)) return right(text)
  return wrong(
    'must be //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, ' +
      'with the number of the project and without https:',
  )
}

/** The e-mail address of a service account; it becomes a part of a URL. */
function parseServiceAccountEmail(text: string): Reading<string> {
  if (isServiceAccountEmail(text)) return right(text)
  return wrong("must be a service account's e-mail address, which ends in .gserviceaccount.com")
}
