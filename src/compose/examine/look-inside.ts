import type { Settings } from '../../config.ts'
import type { CredentialSummary } from '../../domain/credential.ts'
import type { PolicyDocument } from '../../ports/policy-source.ts'
import { createCredentials, type Credentials } from '../../records/credentials.ts'
import { createPolicies } from '../../records/policies.ts'
import { judgePolicy } from '../judge-policy.ts'
import type { Platform } from '../platform.ts'
import { bad, tryOut, type Finding } from './finding.ts'

const credentialsMax = 500

/** What the broker keeps: key ring, store, and the credentials and the policy in it. */
export async function lookInside(settings: Settings, platform: Platform): Promise<readonly Finding[]> {
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
    ...(await lookAtPolicy(settings, await readPolicy(platform, policies), enrolled)),
  ]
}

async function lookAtCredentials(
  enrolled: readonly CredentialSummary[],
  credentials: Credentials,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const { name, version, state, health } of enrolled) {
    if (health.status === 'broken')
      findings.push({
        what: 'credentials',
        verdict: 'bad',
        says: `${name} is broken: ${health.reason ?? 'the upstream refuses it'}`,
        mend: [`downscope credentials show ${name}, then rotate it`],
      })
    if (state !== 'enabled') continue
    const opened = await tryOut('credentials', '', async () => {
      await credentials.openSecret(name, version)
      return ''
    })
    if (opened.verdict === 'bad')
      findings.push({
        ...opened,
        says: `${name} cannot be opened: ${opened.says}`,
        mend: ['Put the key that sealed it back into DOWNSCOPE_KEYS, behind the first one.'],
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
    const mend = policySource === undefined ? 'downscope policy apply --store FILE writes the first one.' : ''
    return { finding: bad('policy', error, mend) }
  }
}

async function lookAtPolicy(
  { issuer }: Settings,
  reading: PolicyReading,
  enrolled: readonly CredentialSummary[],
): Promise<readonly Finding[]> {
  if ('finding' in reading) return [reading.finding]
  const { text, origin } = reading.document
  const place = origin.replace(/^(?:file|setting) /, '')
  const judged = judgePolicy({ text, origin: place, brokerIssuer: issuer, credentials: enrolled })
  if (!judged.ok)
    return [{ what: 'policy', verdict: 'bad', says: judged.faults.join('\n'), mend: ['Mend these lines.'] }]
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
  ]
}

const noAdministrator: Finding = {
  what: 'policy',
  verdict: 'odd',
  says: 'nobody is an administrator',
  mend: ['Add one under "admins": downscope keys generate admin FILE'],
}
