import type { BrokerKeys } from './adapters/google-identity/parse-signing-keys.ts'
import type { OwnKey } from './adapters/google-identity/own-key.ts'
import type { LocalKey } from './adapters/key-ring/local-keys.ts'
import { clientSettingNames } from './config/client-setting-names.ts'
import type { KeyRingPlace, StorePlace } from './config/parse-place.ts'
import { wrong, type Reading, type Setting } from './config/setting.ts'
import { settingsTable } from './config/settings-table.ts'
import type { LogLevel } from './ports/log.ts'

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
  readonly googleCredentials: OwnKey | undefined
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
  readonly audit: 'stdout' | 'stdout+store'
  readonly auditDays: number
  readonly logLevel: LogLevel
  readonly google: GoogleUrls
  readonly isOnCloudRun: boolean
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

/** `…TokenUrl`, `revokeUrl` and `tokeninfoUrl` are whole; the others are what comes before `/v1/…`, without a slash at the end. */
export interface GoogleUrls {
  readonly oauthTokenUrl: string
  readonly stsTokenUrl: string
  readonly iamCredentialsUrl: string
  readonly iamUrl: string
  readonly kmsUrl: string
  readonly revokeUrl: string
  readonly tokeninfoUrl: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Names that the runtime cannot honour, each with what is wrong with setting it. */
export type RefusedHere = Readonly<Record<string, string>>

export interface SettingFault {
  readonly setting: string
  /** What is wrong, without a word of what was set. */
  readonly fault: string
  readonly example?: string
}

/** Its message lists every fault, one a line, and may be shown to whoever starts the broker. */
export interface ConfigurationFault extends Error {
  readonly name: 'ConfigurationFault'
  readonly faults: readonly SettingFault[]
}

/**
 * Reads and checks all settings. An empty value counts as none. Throws a `ConfigurationFault` with every fault there
 * is, also for a `DOWNSCOPE_…` name that is no setting: a typing error must not be silent.
 */
export function readSettings(env: Environment, refused: RefusedHere = {}): Settings {
  const faults = [
    ...faultsOfEach(env),
    ...faultsOfAll(env),
    ...unknownNames(env),
    ...faultsHere(env, refused),
  ]
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
    audit: value(table.audit),
    auditDays: value(table.auditDays),
    logLevel: value(table.logLevel),
    google: {
      oauthTokenUrl: value(table.googleOauthTokenUrl),
      stsTokenUrl: value(table.googleStsTokenUrl),
      iamCredentialsUrl: value(table.googleIamCredentialsUrl),
      iamUrl: value(table.googleIamUrl),
      kmsUrl: value(table.googleKmsUrl),
      revokeUrl: value(table.googleRevokeUrl),
      tokeninfoUrl: value(table.googleTokeninfoUrl),
    },
    isOnCloudRun,
  }
}

export function isConfigurationFault(error: unknown): error is ConfigurationFault {
  return error instanceof Error && error.name === 'ConfigurationFault' && 'faults' in error
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

function faultsOfEach(env: Environment): readonly SettingFault[] {
  return Object.values<Setting<unknown>>(settingsTable).flatMap((setting) => {
    const reading = readSetting(setting, env)
    return reading.ok ? [] : reading.faults.map((fault) => faultOf(setting, fault))
  })
}

/** What no setting can know alone. */
function faultsOfAll(env: Environment): readonly SettingFault[] {
  const { keyRing, localKeys, policyPath, policyText } = settingsTable
  const faults: SettingFault[] = []
  const ring = readSetting(keyRing, env)
  const hasLocal = ring.ok && ring.value.some(({ kind }) => kind === 'local')
  if (hasLocal && textOf(localKeys, env) === undefined)
    faults.push(faultOf(localKeys, `is required with ${keyRing.name}=local:`))
  if (textOf(policyPath, env) !== undefined && textOf(policyText, env) !== undefined)
    faults.push(faultOf(policyPath, `and ${policyText.name} cannot both be set`))
  return [...faults, ...faultsOfIdentity(env)]
}

/** One identity towards Google, and all that it needs. */
function faultsOfIdentity(env: Environment): readonly SettingFault[] {
  const { googleCredentials, googleFederation, googleServiceAccount, signingKeys } = settingsTable
  const isSet = (setting: Setting<unknown>): boolean => textOf(setting, env) !== undefined
  const faults: SettingFault[] = []
  if (isSet(googleFederation) && isSet(googleCredentials))
    faults.push(faultOf(googleFederation, `and ${googleCredentials.name} cannot both be set`))
  if (isSet(googleFederation) && !isSet(signingKeys))
    faults.push(faultOf(signingKeys, `is required with ${googleFederation.name}`))
  if (isSet(googleFederation)) return faults
  for (const useless of [signingKeys, googleServiceAccount])
    if (isSet(useless)) faults.push(faultOf(googleFederation, `is required with ${useless.name}`))
  return faults
}

function unknownNames(env: Environment): readonly SettingFault[] {
  const known = Object.values(settingsTable).map(({ name }) => name)
  return Object.keys(env)
    .filter((name) => name.startsWith('DOWNSCOPE_') && !known.includes(name))
    .filter((name) => !clientSettingNames.includes(name))
    .map((name) => ({ setting: name, fault: 'is no setting of this version; is it a typing error?' }))
}

function faultsHere(env: Environment, refused: RefusedHere): readonly SettingFault[] {
  return Object.entries(refused)
    .filter(([name]) => (env[name] ?? '').trim() !== '')
    .map(([setting, fault]) => ({ setting, fault }))
}

function valueOf<T>(setting: Setting<T>, env: Environment): T {
  const reading = readSetting(setting, env)
  if (!reading.ok) throw new TypeError(`${setting.name} was not checked`)
  return reading.value
}

function readSetting<T>(setting: Setting<T>, env: Environment): Reading<T> {
  const text = textOf(setting, env)
  return text?.includes('\0') === true ? wrong('must not hold a NUL') : setting.read(text)
}

function textOf({ name, isDocument }: Setting<unknown>, env: Environment): string | undefined {
  const text = env[name]
  // Secret managers and `echo` leave a newline at the end.
  const trimmed = text?.trim()
  if (text === undefined || trimmed === '') return undefined
  return isDocument === true ? text : trimmed
}

function faultOf({ name, example }: Setting<unknown>, fault: string): SettingFault {
  return { setting: name, fault, example }
}

function createConfigurationFault(faults: readonly SettingFault[]): ConfigurationFault {
  const lines = faults.map(({ setting, fault, example }) => {
    const hint = example === undefined ? '' : ` (for example ${setting}=${example})`
    return `  ${setting} ${fault}${hint}`
  })
  const count = faults.length === 1 ? 'one setting is wrong' : `${faults.length} settings are wrong`
  return Object.assign(new Error(`${count}:\n${lines.join('\n')}`), {
    name: 'ConfigurationFault' as const,
    faults,
  })
}
