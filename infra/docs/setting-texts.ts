import type { settingsTable } from '../../src/config/settings-table.ts'

/** What the documentation says of a setting: beside the code it would be part of every Worker. */
interface SettingText {
  /** One sentence. */
  readonly means: string
  /** What happens without it, where that is neither a value nor a fault. */
  readonly without?: string
  /** Of the default. */
  readonly unit?: string
}

export const settingTexts: Readonly<Record<keyof typeof settingsTable, SettingText>> = {
  issuer: {
    means: "The broker's public URL: the `aud` that callers put into their JWT, compared to the octet.",
  },
  port: { means: 'The port to listen on (Node); 0 takes any free one.' },
  host: { means: 'The address to listen on (Node).', without: 'every interface' },
  store: {
    means:
      'Where what must last lies: `sqlite:PATH` (on Workers a Durable Object of that name, `downscope` by ' +
      'default), `firestore://PROJECT/DATABASE` (the SDK on Node, REST on Workers; without a database ' +
      '`(default)`), `firestore+rest://PROJECT/DATABASE`, or `memory:`.',
  },
  firestoreEmulatorHost: { means: "Host and port of Google's Firestore emulator, instead of Firestore." },
  googleCredentials: {
    means:
      "The key file of the broker's own service account, for Firestore over REST, Cloud KMS and credentials " +
      'without a key: its JSON, not its path. A secret.',
    without: 'the metadata server on Google Cloud (Node)',
  },
  signingKeys: {
    means:
      "The broker's own private keys as a JWK set (P-256 or RSA): all are published at " +
      '`/.well-known/jwks.json`, and the one whose `nbf` came last signs, without any the first. A secret.',
    without: 'required with `DOWNSCOPE_GOOGLE_FEDERATION`',
  },
  googleFederation: {
    means:
      "The workload identity pool provider that trusts the broker's signing keys: with it the broker needs " +
      'no Google key of its own. Not together with `DOWNSCOPE_GOOGLE_CREDENTIALS`.',
  },
  googleServiceAccount: {
    means: 'The service account to impersonate with `DOWNSCOPE_GOOGLE_FEDERATION`.',
    without: 'the federated principal itself',
  },
  metadataHost: {
    means: "Where the metadata server is asked for the broker's own token (Node).",
    without: '`metadata.google.internal`',
  },
  keyRing: {
    means:
      'Who holds the keys that seal the store: `local:` (they are in `DOWNSCOPE_KEYS`) or ' +
      '`gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`, a key of Cloud KMS. Of several, with ' +
      'commas between, the first seals and all open.',
  },
  localKeys: {
    means:
      '256-bit keys as `KID:BASE64,KID:BASE64`: the first seals, all open, also beside `gcp-kms://`. A ' +
      'secret.',
    without: 'required with `local:`',
  },
  policyPath: {
    means: 'Path of the policy file (Node); a change is seen within seconds.',
    without: 'policy from the store',
  },
  policyText: { means: 'The policy document itself; not together with `DOWNSCOPE_POLICY`.' },
  refresh: {
    means:
      'When a token that is due is refreshed: after the answer, or before it, where no CPU is left after ' +
      'the answer (Cloud Run, unless CPU is always allocated).',
    without: '`background`; `inline` on Cloud Run',
  },
  rotationIdentity: {
    means:
      "In whose name a service account's keys are rotated: `credential`, by the key that is being replaced, " +
      "or `broker`, by the broker's own Google identity. Either needs roles/iam.serviceAccountKeyAdmin on " +
      'the account.',
  },
  memoryTokens: { means: 'How many tokens each instance keeps in memory at most.', unit: 'entries' },
  callerRate: {
    means:
      'How often each caller may ask each instance, counted after its signature is verified; 0 is as often ' +
      'as it likes. On Workers the binding `CALLER_LIMIT` of wrangler.toml counts instead.',
    unit: 'requests a minute',
  },
  totalRate: {
    means:
      'How often all callers together may ask each instance, counted before any signature is verified; 0 is ' +
      'no limit. On Workers the binding `TOTAL_LIMIT` of wrangler.toml counts instead.',
    unit: 'requests a minute',
  },
  audit: {
    means:
      'Where the record of each decision is written before the answer leaves: `stdout` or `stdout+store`.',
  },
  auditDays: { means: 'How long the store keeps an audit record.', unit: 'days' },
  logLevel: {
    means: 'The least that is logged: `debug`, `info`, `warn` or `error`. Audit records are always written.',
  },
  googleOauthTokenUrl: {
    means: "Google's OAuth token endpoint; for tests only; https, or http on loopback.",
  },
  googleStsTokenUrl: {
    means:
      "Google's Security Token Service, which applies access boundaries; for tests only; https, or http on " +
      'loopback.',
  },
  googleIamCredentialsUrl: {
    means: "Google's IAM Credentials API, without `/v1`; for tests only; https, or http on loopback.",
  },
  googleIamUrl: {
    means:
      "Google's IAM API, without `/v1`, by which keys are rotated; for tests only; https, or http on " +
      'loopback.',
  },
  googleKmsUrl: {
    means: "Google's Cloud KMS API, without `/v1`; for tests only; https, or http on loopback.",
  },
  googleRevokeUrl: { means: "Google's revocation endpoint; for tests only; https, or http on loopback." },
  googleTokeninfoUrl: {
    means:
      'Where Google says what a token of the metadata server carries; for tests only; https, or http on ' +
      'loopback.',
  },
  cloudRunService: {
    means: 'Only read: that it is there says that this is Cloud Run.',
    without: 'set by Cloud Run',
  },
}
