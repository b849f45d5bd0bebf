import type { settingsTable } from '../../src/config/settings-table.ts'

/** What the documentation says of a setting: beside the code it would be part of every Worker. */
interface SettingText {
  /** One sentence. */
  readonly means: string
  /** What happens without it, where that is neither a value nor an error. */
  readonly without?: string
  /** Of the default. */
  readonly unit?: string
}

export const settingTexts: Readonly<Record<keyof typeof settingsTable, SettingText>> = {
  issuer: {
    means: "The broker's public URL. Callers put it into their JWT as `aud`; it is compared exactly.",
  },
  port: { means: 'The port to listen on (Node). 0 takes any free port.' },
  host: { means: 'The address to listen on (Node).', without: 'every interface' },
  store: {
    means:
      'Where records are stored: `sqlite:PATH` (on Workers a Durable Object of that name, by default ' +
      '`downscope`), `firestore://PROJECT/DATABASE` (by the SDK on Node, by REST on Workers; without a ' +
      'database `(default)`), `firestore+rest://PROJECT/DATABASE`, or `memory:`.',
  },
  firestoreEmulatorHost: {
    means: "Host and port of Google's Firestore emulator, which is used instead of Firestore.",
  },
  googleCredentials: {
    means:
      "The key file of the broker's own service account, for Firestore over REST, Cloud KMS and credentials " +
      'without a key. The value is the JSON itself, not its path. A secret.',
    without: 'the metadata server on Google Cloud (Node)',
  },
  signingKeys: {
    means:
      "The broker's own private keys as a JWK set (P-256 or RSA). All are published at " +
      '`/.well-known/jwks.json`. The key with the latest `nbf` that is not in the future signs; if no key ' +
      'has an `nbf`, the first one signs. A secret.',
    without: 'required with `DOWNSCOPE_GOOGLE_FEDERATION`',
  },
  googleFederation: {
    means:
      "The workload identity pool provider that trusts the broker's signing keys. With it the broker needs " +
      'no Google key. Not together with `DOWNSCOPE_GOOGLE_CREDENTIALS`.',
  },
  googleServiceAccount: {
    means: 'The service account to impersonate with `DOWNSCOPE_GOOGLE_FEDERATION`.',
    without: 'the federated principal itself',
  },
  metadataHost: {
    means: "The host of the metadata server that issues the broker's own token (Node).",
    without: '`metadata.google.internal`',
  },
  keyRing: {
    means:
      'The keys that seal the store: `local:` (they are in `DOWNSCOPE_KEYS`) or ' +
      '`gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`, a key of Cloud KMS. Several may be given, ' +
      'separated by commas: the first seals, all open.',
  },
  localKeys: {
    means:
      '256-bit keys as `KID:BASE64,KID:BASE64`. The first seals, all open; they also open beside ' +
      '`gcp-kms://`. A secret.',
    without: 'required with `local:`',
  },
  policyPath: {
    means: 'Path of the policy file (Node). A change takes effect within seconds.',
    without: 'policy from the store',
  },
  policyText: { means: 'The policy document itself. Not together with `DOWNSCOPE_POLICY`.' },
  refresh: {
    means:
      'When a token that is due is refreshed: `background` (after the answer) or `inline` (before it, for ' +
      'Cloud Run without always-allocated CPU).',
    without: '`background`; `inline` on Cloud Run',
  },
  rotationIdentity: {
    means:
      "Which identity rotates a service account's keys: `credential`, the key that is being replaced, or " +
      "`broker`, the broker's own Google identity. It needs roles/iam.serviceAccountKeyAdmin on the account.",
  },
  memoryTokens: { means: 'The most tokens that an instance keeps in memory.', unit: 'entries' },
  callerRate: {
    means:
      'The most requests of one caller to one instance, counted after the signature is verified; 0 is no ' +
      'limit. On Workers the binding `CALLER_LIMIT` of wrangler.toml counts instead.',
    unit: 'requests a minute',
  },
  totalRate: {
    means:
      'The most requests of all callers together to one instance, counted before a signature is verified; 0 ' +
      'is no limit. On Workers the binding `TOTAL_LIMIT` of wrangler.toml counts instead.',
    unit: 'requests a minute',
  },
  storeOutageSeconds: {
    means:
      'How long an instance that cannot read the store serves on with the credentials and blocks it last read. ' +
      'What is disabled meanwhile stays usable there for at most that long; 0 means that it stops within ' +
      'seconds.',
    unit: 'seconds',
  },
  audit: {
    means:
      'Where the record of each decision is written before the answer leaves: `stdout` or `stdout+store`.',
  },
  auditDays: { means: 'How long the store keeps an audit record.', unit: 'days' },
  logLevel: {
    means:
      'The lowest level that is logged: `debug`, `info`, `warn` or `error`. Audit records are always written.',
  },
  signInIssuer: {
    means: 'The OpenID Connect issuer at which people sign in. It must also be an issuer of the policy.',
    without: 'sign-in is off',
  },
  signInClientId: {
    means: "The console's client at that issuer; its redirect URI is `{DOWNSCOPE_ISSUER}/console/callback`.",
    without: 'required with `DOWNSCOPE_SIGN_IN_ISSUER`',
  },
  signInClientSecret: {
    means: "The secret of the console's client. A secret.",
    without: 'a public client with PKCE only',
  },
  signInCliClientId: {
    means:
      'The public client of `downscope login`; its redirect URIs are on loopback: `http://127.0.0.1/callback`, any port.',
    without: "the console's",
  },
  signInDeviceClientId: {
    means:
      'The public client of `downscope login --device`. A person who signs in this way is at most viewer or auditor, ' +
      'unless an `admins` rule requires this client in the claim `aud`.',
    without: 'no sign-in by device code',
  },
  signInScopes: {
    means: 'The scopes that a sign-in asks for, for example one that adds the claim `groups`.',
  },
  googleOauthAuthorizationUrl: {
    means: "Google's consent page, to which a connect link leads. For tests only.",
  },
  googleOauthTokenUrl: {
    means: "Google's OAuth token endpoint. For tests only; https, or http on loopback.",
  },
  googleStsTokenUrl: {
    means:
      "Google's Security Token Service, which applies access boundaries. For tests only; https, or http on " +
      'loopback.',
  },
  googleIamCredentialsUrl: {
    means: "Google's IAM Credentials API, without `/v1`. For tests only; https, or http on loopback.",
  },
  googleIamUrl: {
    means:
      "Google's IAM API, without `/v1`, which creates and deletes keys. For tests only; https, or http on " +
      'loopback.',
  },
  googleKmsUrl: {
    means: "Google's Cloud KMS API, without `/v1`. For tests only; https, or http on loopback.",
  },
  googleRevokeUrl: { means: "Google's revocation endpoint. For tests only; https, or http on loopback." },
  googleTokeninfoUrl: {
    means:
      "Google's tokeninfo endpoint, which says what a token of the metadata server carries. For tests only; " +
      'https, or http on loopback.',
  },
  cloudRunService: {
    means: 'Only read: if it is set, the broker runs on Cloud Run.',
    without: 'set by Cloud Run',
  },
}
