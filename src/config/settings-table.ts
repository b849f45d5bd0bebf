import { parseLocalKeys } from '../adapters/key-ring/local-keys.ts'
import { googleEndpoints, identitySettings } from './google-settings.ts'
import { parseHostAndPort, parseKeyRing, parseStore, parseIssuer } from './parse-url.ts'
import { signInSettings } from './sign-in-settings.ts'
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
      example: 'https://tokens.acme.example',
    },
    parseIssuer,
  ),
  port: withDefault(
    {
      name: 'PORT',
      default: '8080',
      example: '8080',
    },
    parseInteger(0, 65_535),
  ),
  host: optional(
    {
      name: 'DOWNSCOPE_HOST',
      example: '127.0.0.1',
    },
    parseText,
  ),
  store: withDefault(
    {
      name: 'DOWNSCOPE_STORE',
      default: 'sqlite:.downscope/store.db',
      example: 'firestore://acme-tokens/downscope',
    },
    parseStore,
  ),
  firestoreEmulatorHost: optional(
    {
      name: 'FIRESTORE_EMULATOR_HOST',
      example: '127.0.0.1:8085',
    },
    parseHostAndPort,
  ),
  ...identitySettings,
  keyRing: withDefault(
    {
      name: 'DOWNSCOPE_KEY_RING',
      default: 'local:',
      example: 'gcp-kms://projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store',
    },
    parseKeyRing,
  ),
  localKeys: optional(
    {
      name: 'DOWNSCOPE_KEYS',
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
      example: 'policy.yaml',
    },
    parseText,
  ),
  policyText: optional(
    {
      name: 'DOWNSCOPE_POLICY_YAML',
      example: '{"version":1,"issuers":[],"rules":[],"admins":[]}',
      isDocument: true,
    },
    parseText,
  ),
  refresh: optional(
    {
      name: 'DOWNSCOPE_REFRESH',
      example: 'inline',
    },
    parseChoice(['background', 'inline']),
  ),
  rotationIdentity: withDefault(
    {
      name: 'DOWNSCOPE_ROTATION_IDENTITY',
      default: 'credential',
      example: 'broker',
    },
    parseChoice(['credential', 'broker']),
  ),
  memoryTokens: withDefault(
    {
      name: 'DOWNSCOPE_MEMORY_TOKENS',
      default: '10000',
      example: '10000',
    },
    parseInteger(1, 1_000_000),
  ),
  callerRate: withDefault(
    {
      name: 'DOWNSCOPE_CALLER_RATE',
      default: '60000',
      example: '600',
    },
    parseInteger(0, 10_000_000),
  ),
  totalRate: withDefault(
    {
      name: 'DOWNSCOPE_TOTAL_RATE',
      default: '0',
      example: '60000',
    },
    parseInteger(0, 10_000_000),
  ),
  storeOutageSeconds: withDefault(
    {
      name: 'DOWNSCOPE_STORE_OUTAGE_SECONDS',
      default: '3600',
      example: '300',
    },
    parseInteger(0, 86_400),
  ),
  audit: withDefault(
    {
      name: 'DOWNSCOPE_AUDIT',
      default: 'stdout',
      example: 'stdout+store',
    },
    parseChoice(['stdout', 'stdout+store']),
  ),
  auditDays: withDefault(
    {
      name: 'DOWNSCOPE_AUDIT_DAYS',
      default: '30',
      example: '400',
    },
    parseInteger(1, 36_500),
  ),
  logLevel: withDefault(
    {
      name: 'DOWNSCOPE_LOG_LEVEL',
      default: 'info',
      example: 'info',
    },
    parseChoice(['debug', 'info', 'warn', 'error']),
  ),
  ...signInSettings,
  ...googleEndpoints,
  cloudRunService: optional(
    {
      name: 'K_SERVICE',
      example: 'downscope',
    },
    parseText,
  ),
} as const
