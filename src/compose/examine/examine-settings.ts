import { readSettings, type Settings } from '../../config.ts'
import { isConfigurationFault } from '../../config/configuration-fault.ts'
import type { Environment } from '../../config/setting.ts'
import { createNodePlatform } from '../node-platform.ts'
import { bad, type Finding } from './finding.ts'
import { lookInside } from './look-inside.ts'
import { lookOutside } from './look-outside.ts'

/**
 * Looks at what a broker with these settings would stand on, from here: settings, key ring, store, policy, what is
 * sealed, the upstream and the clock. Writes nothing, and makes no store that is not there.
 */
export async function examineSettings(
  env: Environment,
  fileExists: (path: string) => boolean,
): Promise<readonly Finding[]> {
  const read = readingOf(env)
  if (!read.ok) return read.findings
  const { settings } = read
  const findings: Finding[] = [{ what: 'settings', verdict: 'good', says: `for ${settings.issuer}` }]
  const absent = absentStore(settings, fileExists)
  if (absent !== undefined) return [...findings, absent, ...(await lookOutside(settings))]
  let platform
  try {
    platform = createNodePlatform(settings)
  } catch (error) {
    return [
      ...findings,
      bad('store', error, 'Is DOWNSCOPE_STORE right, and may this user read and write there?'),
    ]
  }
  try {
    findings.push(...(await lookInside(settings, platform)), ...(await lookOutside(settings, platform)))
  } finally {
    await platform.close()
  }
  return findings
}

type SettingsReading =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly findings: readonly Finding[] }

function readingOf(env: Environment): SettingsReading {
  try {
    return { ok: true, settings: readSettings(env) }
  } catch (error) {
    if (!isConfigurationFault(error)) throw error
    const findings = error.faults.map(({ setting, fault, example }) => ({
      what: 'settings',
      verdict: 'bad' as const,
      says: `${setting} ${fault}`,
      ...(example === undefined ? {} : { mend: [`for example ${setting}=${example}`] }),
    }))
    return { ok: false, findings }
  }
}

function absentStore({ store }: Settings, fileExists: (path: string) => boolean): Finding | undefined {
  if (store.kind !== 'sqlite' || fileExists(store.path)) return undefined
  return {
    what: 'store',
    verdict: 'odd',
    says: `${store.path} is not there yet: the broker makes it when it first starts`,
    mend: ['If there should be one, DOWNSCOPE_STORE names the wrong place.'],
  }
}
