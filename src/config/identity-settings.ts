import { parseSigningKeys } from '../adapters/google-identity/parse-signing-keys.ts'
import { parseServiceAccountKey } from '../adapters/google-identity/service-account-key.ts'
import { parsePoolProvider, parseServiceAccountEmail } from './parse-federation.ts'
import { parseMetadataHost } from './parse-place.ts'
import { optional, right, wrong } from './setting.ts'

/** Who the broker itself is towards Google: by a key, by federation, or by the metadata server. */
export const identitySettings = {
  googleCredentials: optional(
    {
      name: 'DOWNSCOPE_GOOGLE_CREDENTIALS',
      defaultsTo: 'the metadata server on Google Cloud (Node)',
      means:
        "The key file of the broker's own service account, for Firestore over REST, Cloud KMS and credentials without " +
        'a key: its JSON, not its path. A secret.',
      example: '$(cat downscope-key.json)',
    },
    (text) => {
      const reading = parseServiceAccountKey(text)
      return reading.ok ? right(reading.key) : wrong(reading.fault)
    },
  ),
  signingKeys: optional(
    {
      name: 'DOWNSCOPE_SIGNING_KEYS',
      defaultsTo: 'required with `DOWNSCOPE_GOOGLE_FEDERATION`',
      means:
        "The broker's own private keys as a JWK set (P-256 or RSA): all are published at `/.well-known/jwks.json`, " +
        'and the one whose `nbf` came last signs, without any the first. A secret.',
      example: '$(npx downscope keys generate signing)',
    },
    (text) => {
      const reading = parseSigningKeys(text)
      return reading.ok ? right(reading.keys) : wrong(...reading.faults)
    },
  ),
  googleFederation: optional(
    {
      name: 'DOWNSCOPE_GOOGLE_FEDERATION',
      means:
        "The workload identity pool provider that trusts the broker's signing keys: with it the broker needs no " +
        'Google key of its own. Not together with `DOWNSCOPE_GOOGLE_CREDENTIALS`.',
      example:
        '//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/downscope/providers/broker',
    },
    parsePoolProvider,
  ),
  googleServiceAccount: optional(
    {
      name: 'DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT',
      defaultsTo: 'the federated principal itself',
      means: 'The service account to impersonate with `DOWNSCOPE_GOOGLE_FEDERATION`.',
      example: 'downscope@acme-tokens.iam.gserviceaccount.com',
    },
    parseServiceAccountEmail,
  ),
  metadataHost: optional(
    {
      name: 'GCE_METADATA_HOST',
      defaultsTo: '`metadata.google.internal`',
      means: "Where the metadata server is asked for the broker's own token (Node).",
      example: '127.0.0.1:8090',
    },
    parseMetadataHost,
  ),
} as const
