import { describe, expect, test } from 'vitest'
import { readSettings } from '../../src/config.ts'
import { isConfigurationFault, type ConfigurationFault } from '../../src/config/setting-faults.ts'
import type { Environment } from '../../src/config/setting.ts'
import { settingsTable } from '../../src/config/settings-table.ts'

const key = btoa('k'.repeat(32))
const webhookSecret = `whsec_${btoa('w'.repeat(32))}`
const secretNames = [
  'DOWNSCOPE_KEYS',
  'DOWNSCOPE_GOOGLE_CREDENTIALS',
  'DOWNSCOPE_SIGNING_KEYS',
  'DOWNSCOPE_WEBHOOK_SECRET',
]
const least = { DOWNSCOPE_ISSUER: 'https://tokens.acme.example', DOWNSCOPE_KEYS: `k1:${key}` }

describe('settings', () => {
  test('an issuer and a key are enough; everything else has a default', () => {
    const { keyRing, ...settings } = readSettings({ ...least, HOME: '/root', PATH: '/bin', LANG: undefined })

    expect(settings).toEqual({
      issuer: 'https://tokens.acme.example',
      port: 8080,
      host: undefined,
      store: { kind: 'sqlite', path: '.downscope/store.db' },
      firestoreEmulatorHost: undefined,
      policy: { from: 'store' },
      refresh: 'background',
      rotationIdentity: 'credential',
      memoryTokensMax: 10_000,
      callerRate: 60_000,
      totalRate: 0,
      storeOutageSeconds: 3600,
      audit: 'stdout',
      auditDays: 30,
      logLevel: 'info',
      google: {
        oauthTokenUrl: 'https://oauth2.googleapis.com/token',
        oauthAuthorizationUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
        stsTokenUrl: 'https://sts.googleapis.com/v1/token',
        iamCredentialsUrl: 'https://iamcredentials.googleapis.com',
        iamUrl: 'https://iam.googleapis.com',
        kmsUrl: 'https://cloudkms.googleapis.com',
        revokeUrl: 'https://oauth2.googleapis.com/revoke',
        tokeninfoUrl: 'https://oauth2.googleapis.com/tokeninfo',
      },
      isOnCloudRun: false,
    })
    expect(keyRing).toEqual([{ kind: 'local', keys: [{ kid: 'k1', key: expect.anything() as unknown }] }])
    expect(keyRing.flatMap((part) => (part.kind === 'local' ? part.keys : []))[0]?.key.reveal()).toBe(key)
  })

  test('every setting arrives where it belongs', () => {
    const settings = readSettings({
      ...least,
      PORT: '9000',
      DOWNSCOPE_HOST: '127.0.0.1',
      DOWNSCOPE_STORE: 'firestore+rest://acme-tokens/downscope',
      FIRESTORE_EMULATOR_HOST: '127.0.0.1:8085',
      DOWNSCOPE_KEY_RING: 'gcp-kms://projects/p/locations/eu/keyRings/r/cryptoKeys/k',
      DOWNSCOPE_POLICY: 'policy.yaml',
      DOWNSCOPE_REFRESH: 'background',
      DOWNSCOPE_MEMORY_TOKENS: '5',
      DOWNSCOPE_CALLER_RATE: '600',
      DOWNSCOPE_TOTAL_RATE: '60000',
      DOWNSCOPE_STORE_OUTAGE_SECONDS: '300',
      DOWNSCOPE_AUDIT: 'stdout+store',
      DOWNSCOPE_AUDIT_DAYS: '400',
      DOWNSCOPE_LOG_LEVEL: 'debug',
      DOWNSCOPE_WEBHOOK_URL: 'https://HOOKS.acme.example/T0?key=k',
      DOWNSCOPE_WEBHOOK_SECRET: webhookSecret,
      DOWNSCOPE_METRICS_PORT: '9464',
      DOWNSCOPE_METRICS_HOST: '0.0.0.0',
      DOWNSCOPE_METRICS_CREDENTIALS: 'summed',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
      OTEL_METRIC_EXPORT_INTERVAL: '5000',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      GOOGLE_OAUTH_TOKEN_URL: 'http://127.0.0.1:1/token',
      GOOGLE_OAUTH_AUTHORIZATION_URL: 'http://127.0.0.1:1/authorize',
      GOOGLE_STS_TOKEN_URL: 'http://127.0.0.1:2/sts/v1/token',
      GOOGLE_IAM_CREDENTIALS_URL: 'http://localhost:3/iamcredentials/',
      GOOGLE_IAM_URL: 'http://[::1]:4',
      GOOGLE_KMS_URL: 'http://127.8.9.10:5//',
      GOOGLE_REVOKE_URL: 'https://private.example/revoke',
      GOOGLE_TOKENINFO_URL: 'https://private.example/tokeninfo',
      K_SERVICE: 'downscope',
    })

    expect(settings).toEqual({
      issuer: 'https://tokens.acme.example',
      port: 9000,
      host: '127.0.0.1',
      store: { kind: 'firestore', driver: 'rest', project: 'acme-tokens', database: 'downscope' },
      firestoreEmulatorHost: '127.0.0.1:8085',
      keyRing: [
        { kind: 'gcp-kms', cryptoKey: 'projects/p/locations/eu/keyRings/r/cryptoKeys/k' },
        { kind: 'local', keys: [{ kid: 'k1', key: expect.anything() as unknown }] },
      ],
      policy: { from: 'file', path: 'policy.yaml' },
      refresh: 'background',
      rotationIdentity: 'credential',
      memoryTokensMax: 5,
      callerRate: 600,
      totalRate: 60_000,
      storeOutageSeconds: 300,
      audit: 'stdout+store',
      auditDays: 400,
      logLevel: 'debug',
      google: {
        oauthTokenUrl: 'http://127.0.0.1:1/token',
        oauthAuthorizationUrl: 'http://127.0.0.1:1/authorize',
        stsTokenUrl: 'http://127.0.0.1:2/sts/v1/token',
        iamCredentialsUrl: 'http://localhost:3/iamcredentials',
        iamUrl: 'http://[::1]:4',
        kmsUrl: 'http://127.8.9.10:5',
        revokeUrl: 'https://private.example/revoke',
        tokeninfoUrl: 'https://private.example/tokeninfo',
      },
      isOnCloudRun: true,
      webhook: {
        url: 'https://hooks.acme.example/T0?key=k',
        secret: expect.anything() as unknown,
        mustBePublic: true,
      },
      telemetry: {
        metricsPort: 9464,
        metricsHost: '0.0.0.0',
        namesCredentials: false,
        metricsUrl: 'http://collector:4318/v1/metrics',
        intervalMs: 5000,
        tracesUrl: 'http://collector:4318/v1/traces',
        tracesDelayMs: 5000,
        timeoutMs: 10_000,
        isDelta: false,
        headers: new Map(),
        resource: {},
        tracedShare: 0.25,
      },
    })
  })

  test.each([
    [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'https://collector.example/v1/metrics' }, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_METRICS_EXPORTER: 'none' }, false],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
        OTEL_METRICS_EXPORTER: 'none',
        OTEL_TRACES_EXPORTER: 'none',
      },
      undefined,
    ],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector.example/v1/traces' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_SDK_DISABLED: 'TRUE' }, undefined],
    [{ DOWNSCOPE_METRICS_PORT: '0', OTEL_SDK_DISABLED: 'true' }, false],
    [{ OTEL_METRIC_EXPORT_INTERVAL: '5000', DOWNSCOPE_METRICS_HOST: '::1' }, undefined],
  ])('metrics are measured where somebody reads them: %j', (env, sendsMetrics) => {
    const { telemetry } = readSettings({ ...least, ...env })
    expect(telemetry === undefined ? undefined : telemetry.metricsUrl !== undefined).toBe(sendsMetrics)
  })

  test('headers, attributes and addresses of what is sent are read as OpenTelemetry says', () => {
    const { telemetry } = readSettings({
      ...least,
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc, x-scope = one',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=ignored,deployment.environment.name=pr%C3%BCfung,',
      OTEL_SERVICE_NAME: 'tokens',
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'Delta',
    })

    expect(telemetry).toMatchObject({
      metricsUrl: 'http://collector:4318/v1/metrics',
      tracesUrl: 'http://collector:4318/v1/traces',
      isDelta: true,
      resource: { 'service.name': 'tokens', 'deployment.environment.name': 'prüfung' },
    })
    expect([...(telemetry?.headers ?? [])].map(([name, value]) => [name, value.reveal()])).toEqual([
      ['authorization', 'Bearer abc'],
      ['x-scope', 'one'],
    ])
    expect(JSON.stringify([...(telemetry?.headers ?? [])])).not.toContain('abc')
  })

  test.each(['canary', 'a canary=c', 'canary=%zz', 'canary=%ff', 'canary=b%0d%0ac: d'])(
    'the header %j is refused, and not repeated',
    (headers) => {
      const refused = () => readSettings({ ...least, OTEL_EXPORTER_OTLP_HEADERS: headers })
      expect(refused).toThrow(/OTEL_EXPORTER_OTLP_HEADERS must /)
      expect(refused).not.toThrow('canary')
    },
  )

  test.each(['1', '0', '0.5', '.01'])('%s is a share of requests to trace', (share) => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_TRACES_SAMPLER_ARG: share }
    expect(readSettings({ ...least, ...env }).telemetry?.tracedShare).toBe(Number(share))
  })

  test.each(['1.5', '-1', 'all', '50%'])('%s is none', (share) => {
    expect(() => readSettings({ ...least, OTEL_TRACES_SAMPLER_ARG: share })).toThrow(
      /OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1/,
    )
  })

  test('a collector is an http or https URL', () => {
    expect(() => readSettings({ ...least, OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' })).toThrow(
      /OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL/,
    )
  })

  test.each([
    ['http://hooks.acme.example/', 'must be https and not at a private address'],
    ['https://127.0.0.1/', 'must be https and not at a private address'],
    ['https://localhost/', 'must be https and not at a private address'],
    ['https://10.1.2.3/', 'must be https and not at a private address'],
    ['https://0x7f.1/', 'must be https and not at a private address'],
    ['https://[::ffff:169.254.169.254]/', 'must be https and not at a private address'],
    ['https://[64:ff9b::a00:1]/', 'must be https and not at a private address'],
    ['https://user:secret@hooks.acme.example/', 'must not hold a user'],
    ['https://hooks.acme.example/#secret', 'must not hold a user'],
    ['file:///secret', 'must be an https URL'],
    ['secret', 'must be an https URL'],
  ])('T34: a receiver at %s is refused at the start', (url, why) => {
    const env = { ...least, DOWNSCOPE_WEBHOOK_URL: url, DOWNSCOPE_WEBHOOK_SECRET: webhookSecret }
    const { faults } = faultOf(env)

    expect(faults).toMatchObject([
      { setting: 'DOWNSCOPE_WEBHOOK_URL', fault: expect.stringContaining(why) as unknown },
    ])
    expect(JSON.stringify(faults)).not.toContain('secret@')
  })

  test('T34: a receiver at a private address is taken from whoever says so', () => {
    const env = { ...least, DOWNSCOPE_WEBHOOK_SECRET: webhookSecret, DOWNSCOPE_WEBHOOK_ALLOW_PRIVATE: 'true' }
    const settings = readSettings({ ...env, DOWNSCOPE_WEBHOOK_URL: 'http://10.1.2.3:8090/hook' })

    expect(settings.webhook).toMatchObject({ url: 'http://10.1.2.3:8090/hook', mustBePublic: false })
    expect(settings.webhook?.secret.reveal()).toBe(webhookSecret)
  })

  test('a webhook is a URL and a secret of 24 to 64 octets', () => {
    const url = { ...least, DOWNSCOPE_WEBHOOK_URL: 'https://hooks.acme.example/' }
    const of = (octets: number) => `whsec_${btoa('s'.repeat(octets))}`

    expect(faultOf(url).faults).toMatchObject([{ setting: 'DOWNSCOPE_WEBHOOK_SECRET' }])
    expect(faultOf({ ...least, DOWNSCOPE_WEBHOOK_SECRET: webhookSecret }).faults).toMatchObject([
      { setting: 'DOWNSCOPE_WEBHOOK_URL' },
    ])
    for (const octets of [24, 25, 32, 63, 64])
      expect(readSettings({ ...url, DOWNSCOPE_WEBHOOK_SECRET: of(octets) }).webhook).toBeDefined()
    for (const secret of [of(23), of(65), of(32).slice(6), 'whsec_', `${of(32)}=`])
      expect(faultOf({ ...url, DOWNSCOPE_WEBHOOK_SECRET: secret }).faults).toHaveLength(1)
  })

  test('every fault is reported at once, each with its setting and a right example', () => {
    const fault = faultOf({
      DOWNSCOPE_KEYS: 'k1:short,k1:short',
      DOWNSCOPE_STORE: 'mysql://x',
      DOWNSCOPE_POLICY: 'policy.yaml',
      DOWNSCOPE_POLICY_YAML: 'version: 1',
      DOWNSCOPE_LOG_LEVEL: 'loud',
      DOWNSCOPE_AUDIT_DAYS: '1.5',
      DOWNSCOPE_ISSUR: 'https://tokens.acme.example',
      GOOGLE_IAM_URL: 'http://iam.example',
      PORT: '65536',
    })

    expect(fault.faults.map(({ setting }) => setting).toSorted()).toEqual([
      'DOWNSCOPE_AUDIT_DAYS',
      'DOWNSCOPE_ISSUER',
      'DOWNSCOPE_ISSUR',
      'DOWNSCOPE_KEYS',
      'DOWNSCOPE_KEYS',
      'DOWNSCOPE_LOG_LEVEL',
      'DOWNSCOPE_POLICY',
      'DOWNSCOPE_STORE',
      'GOOGLE_IAM_URL',
      'PORT',
    ])
    expect(fault.message.split('\n')).toHaveLength(11)
    expect(fault.message).toContain('10 settings are wrong:')
    expect(fault.message).toContain(
      '  DOWNSCOPE_ISSUER is required (for example DOWNSCOPE_ISSUER=https://tokens.acme.example)',
    )
    expect(fault.message).toContain('  DOWNSCOPE_ISSUR is no setting of this version')
  })

  test('P23: no fault repeats what was set, not even in the wrong place', () => {
    const secret = 'hunter2-hunter2-hunter2'
    const names = Object.values(settingsTable).map(({ name }) => name)
    for (const value of [
      secret,
      `https://user:${secret}@acme.example/?${secret}#`,
      `k1:${secret}`,
      `${secret}\0`,
    ]) {
      const env = Object.fromEntries([...names, 'DOWNSCOPE_TYPO'].map((name) => [name, value]))
      const fault = faultOf(env)

      expect(fault.faults.length).toBeGreaterThan(10)
      expect(JSON.stringify(fault.faults) + fault.message + String(fault.stack)).not.toContain(secret)
    }
  })

  test('P23: settings do not print their keys', () => {
    const settings = readSettings(least)

    expect(JSON.stringify(settings)).toContain('[secret]')
    expect(JSON.stringify(settings)).not.toContain(key)
  })

  test('every example is right, and so is every default', () => {
    for (const setting of Object.values(settingsTable)) {
      // Secrets: their example is the command that makes or shows one.
      if (secretNames.includes(setting.name)) continue
      expect([setting.name, setting.read(setting.example).ok]).toEqual([setting.name, true])
      if (setting.isRequired !== true)
        expect([setting.name, setting.read(undefined).ok]).toEqual([setting.name, true])
    }
  })

  test('an empty value counts as none, and white space around one as nothing', () => {
    const settings = readSettings({
      ...least,
      PORT: '',
      DOWNSCOPE_POLICY: ' ',
      DOWNSCOPE_LOG_LEVEL: 'warn\n',
    })

    expect(settings).toMatchObject({ port: 8080, policy: { from: 'store' }, logLevel: 'warn' })
    expect(faultOf({ ...least, DOWNSCOPE_ISSUER: '\n' }).faults).toHaveLength(1)
  })

  test('a policy in a setting keeps its white space and names its origin', () => {
    const text = '  version: 1\n  rules: []\n'

    expect(readSettings({ ...least, DOWNSCOPE_POLICY_YAML: text }).policy).toEqual({
      from: 'setting',
      name: 'DOWNSCOPE_POLICY_YAML',
      text,
    })
  })

  test('on Cloud Run a due token is refreshed before the answer, unless set otherwise', () => {
    const refresh = (env: Environment) => readSettings({ ...least, ...env }).refresh

    expect(refresh({})).toBe('background')
    expect(refresh({ K_SERVICE: 'downscope' })).toBe('inline')
    expect(refresh({ K_SERVICE: 'downscope', DOWNSCOPE_REFRESH: 'background' })).toBe('background')
    expect(refresh({ DOWNSCOPE_REFRESH: 'inline' })).toBe('inline')
  })

  test('keys are required with local: alone', () => {
    const kms = 'gcp-kms://projects/p/locations/eu/keyRings/r/cryptoKeys/k'
    const env = { DOWNSCOPE_ISSUER: least.DOWNSCOPE_ISSUER }

    expect(faultOf(env).faults).toMatchObject([
      { setting: 'DOWNSCOPE_KEYS', fault: 'is required with DOWNSCOPE_KEY_RING=local:' },
    ])
    expect(readSettings({ ...env, DOWNSCOPE_KEY_RING: kms }).keyRing).toMatchObject([{ kind: 'gcp-kms' }])
  })

  test('of several key rings the first seals; keys that are set open beside any other', () => {
    const kms = 'gcp-kms://projects/p/locations/eu/keyRings/r/cryptoKeys/k'
    const kinds = (keyRing: string, env: Environment = least) =>
      readSettings({ ...env, DOWNSCOPE_KEY_RING: keyRing }).keyRing.map(({ kind }) => kind)

    expect(kinds(kms)).toEqual(['gcp-kms', 'local'])
    expect(kinds(`${kms}, local:`)).toEqual(['gcp-kms', 'local'])
    expect(kinds(`local:,${kms}`)).toEqual(['local', 'gcp-kms'])
    expect(kinds(`${kms}2,${kms}`, { DOWNSCOPE_ISSUER: least.DOWNSCOPE_ISSUER })).toEqual([
      'gcp-kms',
      'gcp-kms',
    ])
    const { faults } = faultOf({
      DOWNSCOPE_ISSUER: least.DOWNSCOPE_ISSUER,
      DOWNSCOPE_KEY_RING: `${kms},local:`,
    })
    expect(faults).toMatchObject([{ setting: 'DOWNSCOPE_KEYS' }])
  })
})

function faultOf(env: Environment): ConfigurationFault {
  try {
    readSettings(env)
  } catch (error) {
    if (isConfigurationFault(error)) return error
    throw error
  }
  throw new Error('these settings were accepted')
}
