import { readSettings, type Settings } from '../config.ts'
import { isConfigurationFault } from '../config/setting-faults.ts'
import type { Environment } from '../config/setting.ts'
import { createNodePlatform } from '../compose/node-platform.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { PolicyDocument } from '../ports/policy-source.ts'
import { createCredentials, type Credentials } from '../records/credentials.ts'
import { createPolicies } from '../records/policies.ts'
import { brokenFinding, examinePolicyServers, judgeClock, type Finding } from './examine-policy-servers.ts'
import { judgePolicy } from '../policy/policy-warnings.ts'
import type { Platform } from '../compose/platform.ts'
import { createHttpClient } from '../adapters/system/fetch-http-client.ts'
import { isBrokerError } from '../domain/broker-error.ts'

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
  if (absent !== undefined) return [...findings, absent, ...(await examineRemotely(settings))]
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
    findings.push(
      ...(await examineLocally(settings, platform)),
      ...(await examineRemotely(settings, platform)),
    )
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
      ...(example !== undefined && { fix: [`for example ${setting}=${example}`] }),
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
    fix: ['If there should be one, DOWNSCOPE_STORE names the wrong place.'],
  }
}

const credentialsMax = 500

/** What the broker keeps: key ring, store, and the credentials and the policy in it. */
async function examineLocally(settings: Settings, platform: Platform): Promise<readonly Finding[]> {
  const { store, keyRing, entropy } = platform
  const startedMs = platform.clock.steadyMs()
  const ring = await tryOut('key ring', 'Is DOWNSCOPE_KEYS, or the KMS key, the right one?', async () => {
    await keyRing.ping()
    return `${settings.keyRing.map(({ kind }) => kind).join(' and ')} answers`
  })
  const stored = await tryOut('store', 'Is DOWNSCOPE_STORE right, and is it up?', async () => {
    await store.get('probes/doctor')
    return `${settings.store.kind} answers in ${Math.round(platform.clock.steadyMs() - startedMs)} ms`
  })
  if (stored.verdict === 'bad') return [ring, stored]
  const malformed: Finding[] = []
  const credentials = createCredentials({
    ...platform,
    onMalformed: (error) => malformed.push(bad('credentials', error, 'Destroy it and enrol it again.')),
  })
  const enrolled = await credentials.list({ limit: credentialsMax })
  const policies = createPolicies({ store, clock: platform.clock, newId: () => entropy.uuid() })
  return [
    ring,
    stored,
    ...malformed,
    ...(await lookAtCredentials(enrolled, credentials)),
    ...(await lookAtPolicy(settings, await readPolicy(platform, policies), { enrolled, outside: platform })),
  ]
}

async function lookAtCredentials(
  enrolled: readonly CredentialSummary[],
  credentials: Credentials,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const credential of enrolled) {
    const { name, version, state, health } = credential
    if (health.status === 'broken') findings.push(brokenFinding(credential))
    if (state !== 'enabled') continue
    const opened = await tryOut('credentials', '', async () => {
      await credentials.openSecret(name, version)
      return ''
    })
    if (opened.verdict === 'bad')
      findings.push({
        ...opened,
        says: `${name} cannot be opened: ${opened.says}`,
        fix: ['Put the key that sealed it back into DOWNSCOPE_KEYS, behind the first one.'],
      })
  }
  if (findings.length > 0) return findings
  const count = enrolled.length === credentialsMax ? `the first ${credentialsMax}` : `all ${enrolled.length}`
  const says = enrolled.length === 0 ? 'none are enrolled yet' : `${count} can be opened, none is broken`
  return [{ what: 'credentials', verdict: 'good', says }]
}

type PolicyReading = { readonly document: PolicyDocument } | { readonly finding: Finding }

async function readPolicy(
  { policySource }: Platform,
  policies: ReturnType<typeof createPolicies>,
): Promise<PolicyReading> {
  try {
    const document = await (policySource ?? policies).read()
    if (document !== undefined) return { document }
    return { finding: { what: 'policy', verdict: 'bad', says: 'there is none' } }
  } catch (error) {
    const fix = policySource === undefined ? 'downscope policy apply --store FILE writes the first one.' : ''
    return { finding: bad('policy', error, fix) }
  }
}

async function lookAtPolicy(
  { issuer }: Settings,
  reading: PolicyReading,
  {
    enrolled,
    outside,
  }: {
    readonly enrolled: readonly CredentialSummary[]
    readonly outside: Pick<Platform, 'http' | 'clock'>
  },
): Promise<readonly Finding[]> {
  if ('finding' in reading) return [reading.finding]
  const { text, origin } = reading.document
  const place = origin.replace(/^(?:file|setting) /, '')
  const judged = judgePolicy({ text, origin: place, brokerIssuer: issuer, credentials: enrolled })
  if (!judged.ok)
    return [{ what: 'policy', verdict: 'bad', says: judged.lines.join('\n'), fix: ['Correct these lines.'] }]
  const { policy, warnings } = judged
  return [
    {
      what: 'policy',
      verdict: 'good',
      says: `${origin}, ${policy.rules.length === 1 ? '1 rule' : `${policy.rules.length} rules`}`,
    },
    ...(policy.admins.length > 0 ? [] : [noAdministrator]),
    ...warnings.map(({ line, column, path, text: says }): Finding => ({
      what: 'policy',
      verdict: 'odd',
      says: `${line}:${column} ${path}: ${says}`,
    })),
    ...(await examinePolicyServers(policy, outside)),
  ]
}

const noAdministrator: Finding = {
  what: 'policy',
  verdict: 'odd',
  says: 'nobody is an administrator',
  fix: ['Add one under "admins": downscope keys generate admin FILE'],
}

const probeMsMax = 10_000

/** What the broker asks: the upstream, and with it what time it is there. */
async function examineRemotely(
  { google }: Settings,
  platform?: Pick<Platform, 'http'>,
): Promise<readonly Finding[]> {
  const http = platform?.http ?? createHttpClient()
  const findings: Finding[] = []
  for (const [what, url] of [
    ['token endpoint', google.oauthTokenUrl],
    ['STS', google.stsTokenUrl],
  ] as const) {
    // Whatever it says to a GET, it is there.
    const result = await http({ method: 'GET', url, timeoutMs: probeMsMax, maxBytes: 1_048_576 })
    if (result.kind === 'failure') {
      const fix = ['May this machine reach it? A proxy or a firewall may be in between.']
      findings.push({ what: 'upstream', verdict: 'bad', says: `${what}: ${result.detail}`, fix })
      continue
    }
    findings.push({ what: 'upstream', verdict: 'good', says: `${what} answers at ${new URL(url).host}` })
    if (what === 'token endpoint') findings.push(judgeClock(result.header('date'), 'the upstream'))
  }
  return findings
}

/** Whether some work can be done, and in which words. */
async function tryOut(what: string, fix: string, work: () => Promise<string>): Promise<Finding> {
  try {
    return { what, verdict: 'good', says: await work() }
  } catch (error) {
    return bad(what, error, fix)
  }
}

/** A planned failure, in the words of its reason. Anything else is a bug and goes on. */
function bad(what: string, error: unknown, fix: string): Finding {
  if (!isBrokerError(error)) throw error
  return { what, verdict: 'bad', says: error.reason, ...(fix !== '' && { fix: [fix] }) }
}
