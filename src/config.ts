import type { BrokerKeys } from './adapters/google-identity/signing-keys.ts'
import type { ServiceAccountKey } from './google/service-account-key.ts'
import type { LocalKey } from './adapters/key-ring/local-keys.ts'
import { createConfigurationFault, settingFaults, type RefusedHere } from './config/setting-faults.ts'
import type { KeyRingPlace, StorePlace } from './config/parse-url.ts'
import { readSetting, type Environment, type Setting } from './config/setting.ts'
import { googleEndpoints } from './config/google-settings.ts'
import { settingsTable } from './config/settings-table.ts'
import { Secret } from './domain/secret.ts'
import type { WebhookReceiver } from './events/events.ts'
import type { LogLevel } from './ports/log.ts'
import { omitUndefined } from './domain/omit-undefined.ts'

/** Everything that may be set, checked; read once, at the start. */
export interface Settings {
  /** Exactly as set: no slash at its end. */
  readonly issuer: string
  readonly port: number
  /** Absent: every interface. */
  readonly host: string | undefined
  readonly store: StorePlace
  readonly firestoreEmulatorHost: string | undefined
  /** The broker's own key; never together with `federation`. */
  readonly googleCredentials: ServiceAccountKey | undefined
  /** Without either the metadata server is asked, which there is only on Google Cloud. */
  readonly federation: FederationSettings | undefined
  readonly metadataHost: string | undefined
  /** The first seals, all open. */
  readonly keyRing: readonly KeyRingPart[]
  readonly policy:
    | { readonly from: 'file'; readonly path: string }
    | { readonly from: 'setting'; readonly name: string; readonly text: string }
    | { readonly from: 'store' }
  readonly refresh: 'background' | 'inline'
  /** In whose name the keys of service accounts are rotated. */
  readonly rotationIdentity: 'credential' | 'broker'
  readonly memoryTokensMax: number
  /** Requests a minute on each instance; 0 is no limit. */
  readonly callerRate: number
  readonly totalRate: number
  readonly storeOutageSeconds: number
  readonly audit: 'stdout' | 'stdout+store'
  readonly auditDays: number
  readonly logLevel: LogLevel
  readonly google: GoogleUrls
  readonly isOnCloudRun: boolean
  /** Absent: nobody signs in. */
  readonly signIn: SignInSettings | undefined
  /** Absent: events are sent nowhere. */
  readonly webhook: WebhookReceiver | undefined
  /** Absent: nothing is measured. */
  readonly telemetry: TelemetrySettings | undefined
}

/** What is seen of the broker from outside, beside its log. */
interface TelemetrySettings {
  /** Absent: no port for Prometheus. */
  readonly metricsPort: number | undefined
  readonly metricsHost: string
  /** Whether labels name credentials (T35). */
  readonly namesCredentials: boolean
  /** By OTLP over HTTP, every `intervalMs`, with the path; absent: metrics are not sent. */
  readonly metricsUrl: string | undefined
  readonly intervalMs: number
  /** Since they were sent last, and not since the start. */
  readonly isDelta: boolean
  /** Absent: traces are not sent. */
  readonly tracesUrl: string | undefined
  /** How long they wait to be sent together. */
  readonly tracesDelayMs: number
  /** How long a collector may take. */
  readonly timeoutMs: number
  /** For the collector. */
  readonly headers: ReadonlyMap<string, Secret>
  /** OpenTelemetry's attributes of where all this comes from. */
  readonly resource: Readonly<Record<string, string>>
  /** From 0 to 1. */
  readonly tracedShare: number
}

/** Where people sign in. */
interface SignInSettings {
  /** An issuer of the policy, exactly as it calls itself. */
  readonly issuer: string
  /** The console's. */
  readonly clientId: string
  /** Of a confidential client only. */
  readonly clientSecret: Secret | undefined
  readonly cliClientId: string
  /** Absent: nobody signs in by device code (T22). */
  readonly deviceClientId: string | undefined
  readonly scope: string
}

export type KeyRingPart =
  | { readonly kind: 'local'; readonly keys: readonly LocalKey[] }
  | Exclude<KeyRingPlace, { readonly kind: 'local' }>

/** How the broker says who it is without a key of Google's. */
export interface FederationSettings {
  readonly keys: BrokerKeys
  /** The pool provider's full resource name. */
  readonly provider: string
  readonly serviceAccount: string | undefined
}

/** `…TokenUrl`, `oauthAuthorizationUrl`, `revokeUrl` and `tokeninfoUrl` are whole; the others are what comes before `/v1/…`, without a slash at the end. */
export interface GoogleUrls {
  readonly oauthTokenUrl: string
  readonly oauthAuthorizationUrl: string
  readonly stsTokenUrl: string
  readonly iamCredentialsUrl: string
  readonly iamUrl: string
  readonly kmsUrl: string
  readonly revokeUrl: string
  readonly tokeninfoUrl: string
}

/**
 * Reads and checks all settings. An empty value counts as none. Throws a `ConfigurationFault` with every fault there
 * is, also for a `DOWNSCOPE_…` name that is no setting: a typing error must not be silent.
 */
export function readSettings(env: Environment, refused: RefusedHere = {}): Settings {
  const faults = settingFaults(env, refused)
  if (faults.length > 0) throw createConfigurationFault(faults)
  const table = settingsTable
  const value = <T>(setting: Setting<T>): T => valueOf(setting, env)
  const isOnCloudRun = value(table.cloudRunService) !== undefined
  return {
    issuer: value(table.issuer),
    port: value(table.port),
    host: value(table.host),
    store: value(table.store),
    firestoreEmulatorHost: value(table.firestoreEmulatorHost),
    googleCredentials: value(table.googleCredentials),
    federation: federationOf(env),
    metadataHost: value(table.metadataHost),
    keyRing: keyRingOf(env),
    policy: policyPlace(env),
    // Cloud Run takes the CPU away after the answer.
    refresh: value(table.refresh) ?? (isOnCloudRun ? 'inline' : 'background'),
    rotationIdentity: value(table.rotationIdentity),
    memoryTokensMax: value(table.memoryTokens),
    callerRate: value(table.callerRate),
    totalRate: value(table.totalRate),
    storeOutageSeconds: value(table.storeOutageSeconds),
    audit: value(table.audit),
    auditDays: value(table.auditDays),
    logLevel: value(table.logLevel),
    google: googleUrlsOf(env),
    isOnCloudRun,
    signIn: signInOf(env),
    webhook: webhookOf(env),
    telemetry: telemetryOf(env),
  }
}

/** The addresses of Google without any other setting. Throws a `ConfigurationFault`. */
export function readGoogleUrls(env: Environment): GoogleUrls {
  const names: readonly string[] = Object.values(googleEndpoints).map(({ name }) => name)
  const faults = settingFaults(env, {}).filter(({ setting }) => names.includes(setting))
  if (faults.length > 0) throw createConfigurationFault(faults)
  return googleUrlsOf(env)
}

function googleUrlsOf(env: Environment): GoogleUrls {
  const table = googleEndpoints
  return {
    oauthTokenUrl: valueOf(table.googleOauthTokenUrl, env),
    oauthAuthorizationUrl: valueOf(table.googleOauthAuthorizationUrl, env),
    stsTokenUrl: valueOf(table.googleStsTokenUrl, env),
    iamCredentialsUrl: valueOf(table.googleIamCredentialsUrl, env),
    iamUrl: valueOf(table.googleIamUrl, env),
    kmsUrl: valueOf(table.googleKmsUrl, env),
    revokeUrl: valueOf(table.googleRevokeUrl, env),
    tokeninfoUrl: valueOf(table.googleTokeninfoUrl, env),
  }
}

function webhookOf(env: Environment): WebhookReceiver | undefined {
  const url = valueOf(settingsTable.webhookUrl, env)
  const secret = valueOf(settingsTable.webhookSecret, env)
  if (url === undefined || secret === undefined) return undefined
  return {
    url,
    secret: new Secret(secret),
    mustBePublic: valueOf(settingsTable.webhookAllowPrivate, env) === 'false',
  }
}

function telemetryOf(env: Environment): TelemetrySettings | undefined {
  const table = settingsTable
  const value = <T>(setting: Setting<T>): T => valueOf(setting, env)
  const collector = value(table.otlpEndpoint)
  const isDisabled = value(table.otelDisabled)?.toLowerCase() === 'true'
  const urlOf = (own: string | undefined, path: string, exporter: string | undefined) => {
    if (isDisabled || exporter === 'none') return undefined
    return own ?? (collector === undefined ? undefined : `${collector.replace(/\/+$/, '')}${path}`)
  }
  const metricsPort = value(table.metricsPort)
  const metricsUrl = urlOf(value(table.otlpMetricsEndpoint), '/v1/metrics', value(table.otelMetricsExporter))
  const tracesUrl = urlOf(value(table.otlpTracesEndpoint), '/v1/traces', value(table.otelTracesExporter))
  if (metricsPort === undefined && metricsUrl === undefined && tracesUrl === undefined) return undefined
  const service = value(table.otelServiceName)
  return {
    metricsPort,
    metricsHost: value(table.metricsHost),
    namesCredentials: value(table.metricsCredentials) === 'named',
    metricsUrl,
    intervalMs: value(table.otelInterval),
    isDelta: value(table.otlpTemporality) !== 'cumulative',
    tracesUrl,
    tracesDelayMs: value(table.otelTracesDelay),
    timeoutMs: value(table.otlpTimeout),
    headers: value(table.otlpHeaders) ?? new Map(),
    resource: {
      ...Object.fromEntries(value(table.otelResource) ?? []),
      ...omitUndefined({ 'service.name': service }),
    },
    tracedShare: value(table.otelTracedShare),
  }
}

function signInOf(env: Environment): SignInSettings | undefined {
  const table = settingsTable
  const issuer = valueOf(table.signInIssuer, env)
  const clientId = valueOf(table.signInClientId, env)
  if (issuer === undefined || clientId === undefined) return undefined
  const clientSecret = valueOf(table.signInClientSecret, env)
  return {
    issuer,
    clientId,
    clientSecret: clientSecret === undefined ? undefined : new Secret(clientSecret),
    cliClientId: valueOf(table.signInCliClientId, env) ?? clientId,
    deviceClientId: valueOf(table.signInDeviceClientId, env),
    scope: valueOf(table.signInScopes, env),
  }
}

function policyPlace(env: Environment): Settings['policy'] {
  const path = valueOf(settingsTable.policyPath, env)
  if (path !== undefined) return { from: 'file', path }
  const text = valueOf(settingsTable.policyText, env)
  if (text !== undefined) return { from: 'setting', name: settingsTable.policyText.name, text }
  return { from: 'store' }
}

/** Local keys that are set open whatever they sealed, also where another ring seals. */
function keyRingOf(env: Environment): readonly KeyRingPart[] {
  const keys = valueOf(settingsTable.localKeys, env)
  const places = valueOf(settingsTable.keyRing, env)
  const local: KeyRingPart = { kind: 'local', keys: keys ?? [] }
  const parts = places.map((place) => (place.kind === 'local' ? local : place))
  return keys === undefined || parts.includes(local) ? parts : [...parts, local]
}

function federationOf(env: Environment): FederationSettings | undefined {
  const provider = valueOf(settingsTable.googleFederation, env)
  const keys = valueOf(settingsTable.signingKeys, env)
  if (provider === undefined || keys === undefined) return undefined
  return { provider, keys, serviceAccount: valueOf(settingsTable.googleServiceAccount, env) }
}

function valueOf<T>(setting: Setting<T>, env: Environment): T {
  const reading = readSetting(setting, env)
  if (!reading.ok) throw new TypeError(`${setting.name} was not checked`)
  return reading.value
}

const storeByDefault = 'sqlite:downscope'

/**
 * The settings of a Worker, from its variables and secrets by the same table as everywhere. `sqlite:NAME` names a
 * Durable Object and is the default. Throws a `ConfigurationFault` with every fault there is.
 */
export function readWorkersSettings(bindings: object): Settings {
  const env = Object.fromEntries(Object.entries(bindings).flatMap(textOf))
  const isStoreSet = (env['DOWNSCOPE_STORE'] ?? '').trim() !== ''
  return readSettings(isStoreSet ? env : { ...env, DOWNSCOPE_STORE: storeByDefault }, {
    DOWNSCOPE_POLICY:
      'names a file, and Workers have none: set DOWNSCOPE_POLICY_YAML, or keep it in the store',
    DOWNSCOPE_METRICS_PORT: 'opens a port, and Workers have none',
  })
}

/** Variables of wrangler.toml may be numbers, booleans and tables too; other bindings are no settings. */
function textOf([name, value]: [string, unknown]): readonly [string, string][] {
  switch (typeof value) {
    case 'string':
      return [[name, value]]
    case 'number':
    case 'boolean':
      return [[name, String(value)]]
    case 'object':
      return isTable(value) ? [[name, JSON.stringify(value)]] : []
    default:
      return []
  }
}

function isTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
