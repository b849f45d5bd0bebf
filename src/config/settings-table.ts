import { parseLocalKeys } from '../adapters/key-ring/local-keys.ts'
import { googleEndpoints, identitySettings } from './google-settings.ts'
import { parseHostAndPort, parseIdentifierUrl, parseIssuer, parseKeyRing, parseStore } from './parse-url.ts'
import { telemetrySettings } from './telemetry-settings.ts'
import { optional, parseChoice, parseInteger, parseText, required, withDefault } from './setting.ts'

/** Where people sign in: OpenID Connect at one issuer of the policy. */
const signInSettings = {
  signInIssuer: optional(parseIdentifierUrl, {
    name: 'DOWNSCOPE_SIGN_IN_ISSUER',
    means: 'The OpenID Connect issuer at which people sign in. It must also be an issuer of the policy.',
    without: 'sign-in is off',
    example: 'https://accounts.google.com',
  }),
  signInClientId: optional(parseText, {
    name: 'DOWNSCOPE_SIGN_IN_CLIENT_ID',
    means: "The console's client at that issuer; its redirect URI is `{DOWNSCOPE_ISSUER}/console/callback`.",
    without: 'required with `DOWNSCOPE_SIGN_IN_ISSUER`',
    example: 'downscope-console',
  }),
  signInClientSecret: optional(parseText, {
    name: 'DOWNSCOPE_SIGN_IN_CLIENT_SECRET',
    means: "The secret of the console's client. A secret.",
    without: 'a public client with PKCE only',
    example: '$(cat client-secret.txt)',
  }),
  signInCliClientId: optional(parseText, {
    name: 'DOWNSCOPE_SIGN_IN_CLI_CLIENT_ID',
    means:
      'The public client of `downscope login`; its redirect URIs are on loopback: `http://127.0.0.1/callback`, any port.',
    without: "the console's",
    example: 'downscope-cli',
  }),
  signInDeviceClientId: optional(parseText, {
    name: 'DOWNSCOPE_SIGN_IN_DEVICE_CLIENT_ID',
    means:
      'The public client of `downscope login --device`. A person who signs in this way is at most viewer or auditor, ' +
      'unless an `admins` rule requires this client in the claim `aud`.',
    without: 'no sign-in by device code',
    example: 'downscope-device',
  }),
  signInScopes: withDefault(parseText, {
    name: 'DOWNSCOPE_SIGN_IN_SCOPES',
    means: 'The scopes that a sign-in asks for, for example one that adds the claim `groups`.',
    default: 'openid email profile',
    example: 'openid email profile groups',
  }),
} as const

/** Every setting there is, in the order in which the documentation shows them. */
export const settingsTable = {
  issuer: required(parseIssuer, {
    name: 'DOWNSCOPE_ISSUER',
    means: "The broker's public URL. Callers put it into their JWT as `aud`; it is compared exactly.",
    example: 'https://tokens.acme.example',
  }),
  port: withDefault(parseInteger(0, 65_535), {
    name: 'PORT',
    means: 'The port to listen on (Node). 0 takes any free port.',
    default: '8080',
    example: '8080',
  }),
  host: optional(parseText, {
    name: 'DOWNSCOPE_HOST',
    means: 'The address to listen on (Node).',
    without: 'every interface',
    example: '127.0.0.1',
  }),
  store: withDefault(parseStore, {
    name: 'DOWNSCOPE_STORE',
    means:
      'Where records are stored: `sqlite:PATH` (on Workers a Durable Object of that name, by default ' +
      '`downscope`), `firestore://PROJECT/DATABASE` (by the SDK on Node, by REST on Workers; without a ' +
      'database `(default)`), `firestore+rest://PROJECT/DATABASE`, or `memory:`.',
    default: 'sqlite:.downscope/store.db',
    example: 'firestore://acme-tokens/downscope',
  }),
  firestoreEmulatorHost: optional(parseHostAndPort, {
    name: 'FIRESTORE_EMULATOR_HOST',
    means: "Host and port of Google's Firestore emulator, which is used instead of Firestore.",
    example: '127.0.0.1:8085',
  }),
  ...identitySettings,
  keyRing: withDefault(parseKeyRing, {
    name: 'DOWNSCOPE_KEY_RING',
    means:
      'The keys that seal the store: `local:` (they are in `DOWNSCOPE_KEYS`) or ' +
      '`gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`, a key of Cloud KMS. Several may be given, ' +
      'separated by commas: the first seals, all open.',
    default: 'local:',
    example: 'gcp-kms://projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store',
  }),
  localKeys: optional(parseLocalKeys, {
    name: 'DOWNSCOPE_KEYS',
    means:
      '256-bit keys as `KID:BASE64,KID:BASE64`. The first seals, all open; they also open beside ' +
      '`gcp-kms://`. A secret.',
    without: 'required with `local:`',
    example: 'k1:$(openssl rand -base64 32)',
  }),
  policyPath: optional(parseText, {
    name: 'DOWNSCOPE_POLICY',
    means: 'Path of the policy file (Node). A change takes effect within seconds.',
    without: 'policy from the store',
    example: 'policy.yaml',
  }),
  policyText: optional(parseText, {
    name: 'DOWNSCOPE_POLICY_YAML',
    means: 'The policy document itself. Not together with `DOWNSCOPE_POLICY`.',
    example: '{"version":1,"issuers":[],"rules":[],"admins":[]}',
    isDocument: true,
  }),
  refresh: optional(parseChoice(['background', 'inline']), {
    name: 'DOWNSCOPE_REFRESH',
    means:
      'When a token that is due is refreshed: `background` (after the answer) or `inline` (before it, for ' +
      'Cloud Run without always-allocated CPU).',
    without: '`background`; `inline` on Cloud Run',
    example: 'inline',
  }),
  rotationIdentity: withDefault(parseChoice(['credential', 'broker']), {
    name: 'DOWNSCOPE_ROTATION_IDENTITY',
    means:
      "Which identity rotates a service account's keys: `credential`, the key that is being replaced, or " +
      "`broker`, the broker's own Google identity. It needs roles/iam.serviceAccountKeyAdmin on the account.",
    default: 'credential',
    example: 'broker',
  }),
  memoryTokens: withDefault(parseInteger(1, 1_000_000), {
    name: 'DOWNSCOPE_MEMORY_TOKENS',
    means: 'The most tokens that an instance keeps in memory.',
    unit: 'entries',
    default: '10000',
    example: '10000',
  }),
  callerRate: withDefault(parseInteger(0, 10_000_000), {
    name: 'DOWNSCOPE_CALLER_RATE',
    means:
      'The most requests of one caller to one instance, counted after the signature is verified; 0 is no ' +
      'limit. On Workers the binding `CALLER_LIMIT` of wrangler.toml counts instead.',
    unit: 'requests a minute',
    default: '60000',
    example: '600',
  }),
  totalRate: withDefault(parseInteger(0, 10_000_000), {
    name: 'DOWNSCOPE_TOTAL_RATE',
    means:
      'The most requests of all callers together to one instance, counted before a signature is verified; 0 ' +
      'is no limit. On Workers the binding `TOTAL_LIMIT` of wrangler.toml counts instead.',
    unit: 'requests a minute',
    default: '0',
    example: '60000',
  }),
  storeOutageSeconds: withDefault(parseInteger(0, 86_400), {
    name: 'DOWNSCOPE_STORE_OUTAGE_SECONDS',
    means:
      'How long an instance that cannot read the store serves on with the credentials and blocks it last read. ' +
      'What is disabled meanwhile stays usable there for at most that long; 0 means that it stops within ' +
      'seconds.',
    unit: 'seconds',
    default: '3600',
    example: '300',
  }),
  audit: withDefault(parseChoice(['stdout', 'stdout+store']), {
    name: 'DOWNSCOPE_AUDIT',
    means:
      'Where the record of each decision is written before the answer leaves: `stdout` or `stdout+store`.',
    default: 'stdout',
    example: 'stdout+store',
  }),
  auditDays: withDefault(parseInteger(1, 36_500), {
    name: 'DOWNSCOPE_AUDIT_DAYS',
    means: 'How long the store keeps an audit record.',
    unit: 'days',
    default: '30',
    example: '400',
  }),
  logLevel: withDefault(parseChoice(['debug', 'info', 'warn', 'error']), {
    name: 'DOWNSCOPE_LOG_LEVEL',
    means:
      'The lowest level that is logged: `debug`, `info`, `warn` or `error`. Audit records are always written.',
    default: 'info',
    example: 'info',
  }),
  ...telemetrySettings,
  ...signInSettings,
  ...googleEndpoints,
  cloudRunService: optional(parseText, {
    name: 'K_SERVICE',
    means: 'Only read: if it is set, the broker runs on Cloud Run.',
    without: 'set by Cloud Run',
    example: 'downscope',
  }),
} as const
