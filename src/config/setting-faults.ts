import { isBrokerError } from '../domain/broker-error.ts'
import { isPublicHost } from '../adapters/system/public-address.ts'
import { isLoopbackUrl } from '../domain/url.ts'
import { readSetting, textOf, type Environment, type Setting } from './setting.ts'
import { settingsTable } from './settings-table.ts'

/** Names that the runtime cannot honour, each with what is wrong with setting it. */
export type RefusedHere = Readonly<Record<string, string>>

/** Everything that is wrong with what is set: each setting by itself, and then what none of them can know alone. */
export function settingFaults(env: Environment, refused: RefusedHere): readonly SettingFault[] {
  return [...faultsOfEach(env), ...faultsOfAll(env), ...unknownNames(env), ...faultsHere(env, refused)]
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
  return [...faults, ...faultsOfIdentity(env), ...faultsOfSignIn(env), ...faultsOfWebhook(env)]
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

/** People sign in at an issuer as a client of it, or not at all. */
function faultsOfSignIn(env: Environment): readonly SettingFault[] {
  const { issuer, signInIssuer, signInClientId, ...table } = settingsTable
  const isSet = (setting: Setting<unknown>): boolean => textOf(setting, env) !== undefined
  const more = [table.signInClientSecret, table.signInCliClientId, table.signInDeviceClientId]
  const faults: SettingFault[] = []
  if (isSet(signInIssuer) && !isSet(signInClientId))
    faults.push(faultOf(signInClientId, `is required with ${signInIssuer.name}`))
  for (const useless of [signInClientId, ...more])
    if (isSet(useless) && !isSet(signInIssuer))
      faults.push(faultOf(signInIssuer, `is required with ${useless.name}`))
  // T27: what listens on loopback is the development issuer, which lets anybody in.
  if (isLoopbackUrl(textOf(signInIssuer, env)) && !isLoopbackUrl(textOf(issuer, env)))
    faults.push(faultOf(signInIssuer, 'must not be on loopback unless the broker itself is'))
  return faults
}

/** T34. */
function faultsOfWebhook(env: Environment): readonly SettingFault[] {
  const { webhookUrl, webhookSecret, webhookAllowPrivate } = settingsTable
  const isSet = (setting: Setting<unknown>): boolean => textOf(setting, env) !== undefined
  const faults: SettingFault[] = []
  if (isSet(webhookUrl) && !isSet(webhookSecret))
    faults.push(faultOf(webhookSecret, `is required with ${webhookUrl.name}`))
  for (const useless of [webhookSecret, webhookAllowPrivate])
    if (isSet(useless) && !isSet(webhookUrl))
      faults.push(faultOf(webhookUrl, `is required with ${useless.name}`))
  const url = readSetting(webhookUrl, env)
  if (!url.ok || url.value === undefined || textOf(webhookAllowPrivate, env) === 'true') return faults
  const { protocol, hostname } = new URL(url.value)
  if (protocol !== 'https:' || !isPublicHost(hostname))
    faults.push(
      faultOf(
        webhookUrl,
        `must be https and not at a private address, unless ${webhookAllowPrivate.name}=true`,
      ),
    )
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

function faultOf({ name, example }: Setting<unknown>, fault: string): SettingFault {
  return { setting: name, fault, example }
}

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

export function createConfigurationFault(faults: readonly SettingFault[]): ConfigurationFault {
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

export function isConfigurationFault(error: unknown): error is ConfigurationFault {
  return error instanceof Error && error.name === 'ConfigurationFault' && 'faults' in error
}

/** What `downscope`, the command line, reads from the environment. The broker knows these names and ignores them. */
export const clientSettingNames: readonly string[] = [
  'DOWNSCOPE_URL',
  'DOWNSCOPE_ADMIN_KEY',
  'DOWNSCOPE_ADMIN_TOKEN_FILE',
  'DOWNSCOPE_ADMIN_ISSUER',
  'DOWNSCOPE_ADMIN_SUBJECT',
  'DOWNSCOPE_ID_TOKEN',
]

/** Why the broker cannot start, in words for whoever starts it; `undefined` when it is a bug of ours. */
export function startFault(error: unknown): string | undefined {
  if (isBrokerError(error)) return error.reason
  if (isConfigurationFault(error) || isListenFault(error)) return error.message
  return undefined
}

function isListenFault(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen'
}
