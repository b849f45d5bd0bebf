import { parseSigningKeys } from '../adapters/google-identity/parse-signing-keys.ts'
import { parseOwnKey } from '../adapters/google-identity/own-key.ts'
import { parsePoolProvider, parseServiceAccountEmail } from './parse-federation.ts'
import { parseMetadataHost } from './parse-place.ts'
import { optional, right, wrong } from './setting.ts'

/** Who the broker itself is towards Google: by a key, by federation, or by the metadata server. */
export const identitySettings = {
  googleCredentials: optional(
    {
      name: 'DOWNSCOPE_GOOGLE_CREDENTIALS',
      example: '$(cat downscope-key.json)',
    },
    (text) => {
      const reading = parseOwnKey(text)
      return reading.ok ? right(reading.key) : wrong(reading.fault)
    },
  ),
  signingKeys: optional(
    {
      name: 'DOWNSCOPE_SIGNING_KEYS',
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
      example:
        '//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/downscope/providers/broker',
    },
    parsePoolProvider,
  ),
  googleServiceAccount: optional(
    {
      name: 'DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT',
      example: 'downscope@acme-tokens.iam.gserviceaccount.com',
    },
    parseServiceAccountEmail,
  ),
  metadataHost: optional(
    {
      name: 'GCE_METADATA_HOST',
      example: '127.0.0.1:8090',
    },
    parseMetadataHost,
  ),
} as const
