import { parseLocalKeys } from '../adapters/key-ring/local-keys.ts'
import { googleEndpoints } from './google-endpoints.ts'
import { identitySettings } from './identity-settings.ts'
import { parseHostAndPort, parseKeyRing, parseStore } from './parse-place.ts'
import { parseIssuer } from './parse-url.ts'
import {
  optional,
  parseChoice,
  parseInteger,
  parseText,
  required,
  right,
  withDefault,
  wrong,
} from './setting.ts'

/** Every setting there is, in the order in which the documentation shows them. */
export const settingsTable = {
  issuer: required(
    {
      name: 'DOWNSCOPE_ISSUER',
      means: "The broker's public URL: the `aud` that callers put into their JWT, compared to the octet.",
      example: 'https://tokens.acme.example',
    },
    parseIssuer,
  ),
  port: withDefault(
    {
      name: 'PORT',
      default: '8080',
      means: 'The port to listen on (Node); 0 takes any free one.',
      example: '8080',
    },
    parseInteger(0, 65_535),
  ),
  host: optional(
    {
      name: 'DOWNSCOPE_HOST',
      defaultsTo: 'every interface',
      means: 'The address to listen on (Node).',
      example: '127.0.0.1',
    },
    parseText,
  ),
  store: withDefault(
    {
      name: 'DOWNSCOPE_STORE',
      default: 'sqlite:.downscope/store.db',
      means:
        'Where what must last lies: `sqlite:PATH` (on Workers a Durable Object of that name, `downscope` by default), ' +
        '`firestore://PROJECT/DATABASE` (the SDK on Node, REST on ' +
        'Workers; without a database `(default)`), `firestore+rest://PROJECT/DATABASE`, or `memory:`.',
      example: 'firestore://acme-tokens/downscope',
    },
    parseStore,
  ),
  firestoreEmulatorHost: optional(
    {
      name: 'FIRESTORE_EMULATOR_HOST',
      means: "Host and port of Google's Firestore emulator, instead of Firestore.",
      example: '127.0.0.1:8085',
    },
    parseHostAndPort,
  ),
  ...identitySettings,
  keyRing: withDefault(
    {
      name: 'DOWNSCOPE_KEY_RING',
      default: 'local:',
      means:
        'Who holds the keys that seal the store: `local:` (they are in `DOWNSCOPE_KEYS`) or ' +
        '`gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`, a key of Cloud KMS. Of several, with commas ' +
        'between, the first seals and all open.',
      example: 'gcp-kms://projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store',
    },
    parseKeyRing,
  ),
  localKeys: optional(
    {
      name: 'DOWNSCOPE_KEYS',
      defaultsTo: 'required with `local:`',
      means:
        '256-bit keys as `KID:BASE64,KID:BASE64`: the first seals, all open, also beside `gcp-kms://`. A secret.',
      example: 'k1:$(openssl rand -base64 32)',
    },
    (text) => {
      const reading = parseLocalKeys(text)
      return reading.ok ? right(reading.keys) : wrong(...reading.faults)
    },
  ),
  policyPath: optional(
    {
      name: 'DOWNSCOPE_POLICY',
      defaultsTo: 'policy from the store',
      means: 'Path of the policy file (Node); a change is seen within seconds.',
      example: 'policy.yaml',
    },
    parseText,
  ),
  policyText: optional(
    {
      name: 'DOWNSCOPE_POLICY_YAML',
      means: 'The policy document itself; not together with `DOWNSCOPE_POLICY`.',
      example: '{"version":1,"issuers":[],"rules":[],"admins":[]}',
      isDocument: true,
    },
    parseText,
  ),
  refresh: optional(
    {
      name: 'DOWNSCOPE_REFRESH',
      defaultsTo: '`background`; `inline` on Cloud Run',
      means:
        'When a token that is due is refreshed: after the answer, or before it, where no CPU is left after the ' +
        'answer (Cloud Run, unless CPU is always allocated).',
      example: 'inline',
    },
    parseChoice(['background', 'inline']),
  ),
  rotationIdentity: withDefault(
    {
      name: 'DOWNSCOPE_ROTATION_IDENTITY',
      default: 'credential',
      means:
        "In whose name a service account's keys are rotated: `credential`, by the key that is being replaced, or " +
        "`broker`, by the broker's own Google identity. Either needs roles/iam.serviceAccountKeyAdmin on the account.",
      example: 'broker',
    },
    parseChoice(['credential', 'broker']),
  ),
  memoryTokens: withDefault(
    {
      name: 'DOWNSCOPE_MEMORY_TOKENS',
      default: '10000',
      unit: 'entries',
      means: 'How many tokens each instance keeps in memory at most.',
      example: '10000',
    },
    parseInteger(1, 1_000_000),
  ),
  callerRate: withDefault(
    {
      name: 'DOWNSCOPE_CALLER_RATE',
      default: '0',
      unit: 'requests a minute',
      means:
        'How often each caller may ask each instance, counted after its signature is verified; 0 is as often as it ' +
        'likes. On Workers the binding `CALLER_LIMIT` of wrangler.toml counts instead.',
      example: '600',
    },
    parseInteger(0, 10_000_000),
  ),
  totalRate: withDefault(
    {
      name: 'DOWNSCOPE_TOTAL_RATE',
      default: '0',
      unit: 'requests a minute',
      means:
        'How often all callers together may ask each instance, counted before any signature is verified; 0 is no ' +
        'limit. On Workers the binding `TOTAL_LIMIT` of wrangler.toml counts instead.',
      example: '60000',
    },
    parseInteger(0, 10_000_000),
  ),
  audit: withDefault(
    {
      name: 'DOWNSCOPE_AUDIT',
      default: 'stdout',
      means:
        'Where the record of each decision is written before the answer leaves: `stdout` or `stdout+store`.',
      example: 'stdout+store',
    },
    parseChoice(['stdout', 'stdout+store']),
  ),
  auditDays: withDefault(
    {
      name: 'DOWNSCOPE_AUDIT_DAYS',
      default: '30',
      unit: 'days',
      means: 'How long the store keeps an audit record.',
      example: '400',
    },
    parseInteger(1, 36_500),
  ),
  logLevel: withDefault(
    {
      name: 'DOWNSCOPE_LOG_LEVEL',
      default: 'info',
      means:
        'The least that is logged: `debug`, `info`, `warn` or `error`. Audit records are always written.',
      example: 'info',
    },
    parseChoice(['debug', 'info', 'warn', 'error']),
  ),
  ...googleEndpoints,
  cloudRunService: optional(
    {
      name: 'K_SERVICE',
      defaultsTo: 'set by Cloud Run',
      means: 'Only read: that it is there says that this is Cloud Run.',
      example: 'downscope',
    },
    parseText,
  ),
} as const
