import { existsSync } from 'node:fs'
import { brokenFinding, type Finding, judgeClock } from '../examine-policy-servers.ts'
import { isMembers } from '../../domain/json.ts'
import { softwareVersion } from '../../domain/version.ts'
import { type CredentialAnswer, allCredentials } from '../admin-answers.ts'
import { connect, readOptions } from '../admin-client.ts'
import { askIssuer, brokerUrl, clientSettings, hasBrokerSettings } from '../broker-url.ts'
import type { Call, Command, OptionSpec } from '../command.ts'
import { type Exit, isFault } from '../fault.ts'
import { printAnswer, withProgress, type Progress, counted, type Paint, plain, shellWord } from '../output.ts'
import { adminCurl } from '../request-shown.ts'
import { stepWords } from './versions.ts'
import { send } from '../send.ts'
import { serviceAnswer, stopWords, type ServiceAnswer } from './service.ts'

const group = 'Against Google itself:'

const liveOptions: readonly OptionSpec[] = [
  { name: '--live', summary: 'try out in a project of yours what was never run against Google', group },
  { name: '--project', value: 'ID', summary: 'the project, best one with nothing else in it', group },
  { name: '--bucket', value: 'NAME', summary: 'a bucket of it with uniform bucket-level access', group },
  { name: '--only', value: 'NAME', summary: 'only this check; may be repeated', isRepeatable: true, group },
  {
    name: '--kms-key',
    value: 'NAME',
    summary: 'projects/P/locations/L/keyRings/R/cryptoKeys/K, for kms',
    group,
  },
  { name: '--database', value: 'ID', summary: 'the Firestore database, by default (default)', group },
  {
    name: '--oauth-client',
    value: 'FILE',
    summary: 'the file of a new desktop client, for refresh-token-narrowing and revocation',
    offer: 'file',
    group,
  },
  {
    name: '--credential',
    value: 'NAME',
    summary:
      "try out boundaries as this credential's service account, and record that Google refuses a bare intermediary token",
    offer: 'credential',
    group,
  },
  {
    name: '--report',
    value: 'FILE',
    summary: 'write a report in Markdown, without secrets and names',
    offer: 'file',
    group,
  },
  {
    name: '--journal',
    value: 'FILE',
    summary: 'what has to be taken away again (.downscope/doctor-live.json)',
    offer: 'file',
    group,
  },
  { name: '--yes', summary: 'do not ask before each check', group },
  {
    name: '--dry-run',
    summary: 'list the checks and what each creates; asks nobody and does nothing',
    group,
  },
]

export const doctorCommands: readonly Command[] = [
  {
    name: 'doctor',
    summary: 'check the broker and its settings, and say how to fix what is wrong',
    details:
      "Where the broker's own settings are in the environment it looks at settings, key ring, store, credentials, " +
      'policy, upstream and clock from here. With --url or DOWNSCOPE_URL, or without such settings, it asks the ' +
      'broker that runs. Status 1 when something is wrong.',
    options: [
      { name: '--local', summary: 'look at the settings in the environment only' },
      ...liveOptions,
      ...readOptions,
    ],
    examples: [
      'downscope doctor',
      'downscope doctor --live --dry-run',
      'downscope doctor --live --project acme-trial --bucket acme-trial-doctor --report report.md',
      'downscope doctor --url https://tokens.acme.example',
      'DOWNSCOPE_ISSUER=https://tokens.acme.example DOWNSCOPE_KEYS="$(cat keys.txt)" downscope doctor --local',
    ],
    run: examine,
  },
]

async function examine(call: Call): Promise<Exit> {
  if (call.has('--live')) {
    const { proveLive } = await import('../live/run-live.ts')
    return proveLive(call)
  }
  if (call.has('--curl')) return showQuestions(call)
  const isBrokersPlace = hasBrokerSettings(call.terminal.env)
  const isLocal = call.has('--local') || isBrokersPlace
  const isRemote = !call.has('--local') && (namesBroker(call) || !isBrokersPlace)
  const findings = await withProgress(call, 'Looking', async (progress) => [
    ...(isLocal ? await examineHere(call, progress) : []),
    ...(isRemote ? await examineBroker(call, progress) : []),
  ])
  const bad = findings.filter(({ verdict }) => verdict === 'bad').length
  const odd = findings.filter(({ verdict }) => verdict === 'odd').length
  printAnswer(call, { healthy: bad === 0, findings }, (paint) => {
    const counts = [
      ...(bad === 0 ? [] : [paint.bad(counted(bad, 'problem'))]),
      ...(odd === 0 ? [] : [paint.odd(counted(odd, 'warning'))]),
    ]
    return `${showFindings(findings, paint)}\n${counts.length === 0 ? paint.good('All is well.') : `${counts.join(', ')}.`}\n`
  })
  return bad === 0 ? 'done' : 'refused'
}

/** What a broker is asked, in this order. */
function showQuestions(call: Call): Exit {
  const url = brokerUrl(call)
  for (const path of ['.well-known/oauth-authorization-server', 'readyz'])
    call.terminal.stdout.write(`curl -sS ${shellWord(`${url}/${path}`)}\n`)
  for (const path of ['service', 'credentials?limit=500'])
    call.terminal.stdout.write(adminCurl(call, url, { method: 'GET', path }))
  return 'done'
}

function namesBroker(call: Call): boolean {
  return call.text('--url') !== undefined || (call.terminal.env[clientSettings.url.name] ?? '') !== ''
}

async function examineHere({ terminal }: Call, progress: Progress): Promise<readonly Finding[]> {
  progress.say('Looking at the settings here')
  const { examineSettings } = await import('../examine-settings.ts')
  return examineSettings(terminal.env, existsSync)
}

async function examineBroker(call: Call, progress: Progress): Promise<readonly Finding[]> {
  const url = brokerUrl(call)
  progress.say(`Asking ${url}`)
  const reached = await attempt('broker', async () => {
    const issuer = await askIssuer(url)
    return { what: 'broker', verdict: 'good', says: `${issuer} answers` }
  })
  if (reached.some(({ verdict }) => verdict === 'bad')) return reached
  return [...reached, ...(await examineReadiness(url)), ...(await examineAsAdmin(call))]
}

/** `/readyz`, which Google's front end may keep for itself on Cloud Run (docs/deploy-cloud-run.md). */
async function examineReadiness(url: string): Promise<readonly Finding[]> {
  const { status, document, headers } = await send(`${url}/readyz`)
  const words = isMembers(document) ? document : {}
  const clock = judgeClock(headers.get('date') ?? undefined, 'the broker')
  if (!('key_ring' in words))
    return [
      {
        what: 'readiness',
        verdict: 'unknown',
        says: `/readyz is not to be had from here (status ${status})`,
      },
      clock,
    ]
  const parts = [
    ['store', words['store']],
    ['key ring', words['key_ring']],
    ['policy', words['policy']],
  ] as const
  return [
    ...parts.map(([what, word]): Finding => {
      if (word === 'ok') return { what, verdict: 'good', says: 'the broker can use it' }
      return {
        what,
        verdict: 'bad',
        says: 'the broker cannot use it now',
        fix: [`Its log says why: look for "not ready: ${what}".`],
      }
    }),
    clock,
  ]
}

/** What only an administrator is told. */
async function examineAsAdmin(call: Call): Promise<readonly Finding[]> {
  return attempt('administrator', async () => {
    const client = await connect(call)
    const { value: service } = await client.ask({ method: 'GET', path: 'service', answer: serviceAnswer })
    const { credentials } = await allCredentials(client)
    return [
      { what: 'administrator', verdict: 'good', says: client.identity.shown },
      ...judgeService(service),
      ...judgeCredentials(credentials),
    ]
  })
}

function judgeService(service: ServiceAnswer): readonly Finding[] {
  const { version, stopped, blocked_callers: blocked } = service
  const findings: Finding[] = []
  // A part at fault was seen at /readyz already; here is its reason.
  for (const [what, { status, reason }] of [
    ['store', service.store],
    ['key ring', service.key_ring],
    ['policy', service.policy],
  ] as const)
    if (status !== 'ok')
      findings.push({ what, verdict: 'bad', says: reason ?? 'the broker cannot use it now' })
  if (version !== softwareVersion)
    findings.push({
      what: 'version',
      verdict: 'odd',
      says: `the broker is ${version}, the command line ${softwareVersion}`,
      fix: ['Use the command line of the same version.'],
    })
  if (stopped !== undefined)
    findings.push({
      what: 'service',
      verdict: 'bad',
      says: `nobody gets a token: stopped ${stopWords(service)}`,
      fix: ['When the reason for it is gone: downscope service resume'],
    })
  if (blocked > 0)
    findings.push({
      what: 'callers',
      verdict: 'odd',
      says: `${counted(blocked, 'caller')} revoked by hand`,
      fix: ['downscope callers list'],
    })
  return findings
}

function judgeCredentials(credentials: readonly CredentialAnswer[]): readonly Finding[] {
  const broken = credentials.filter(({ health }) => health.status === 'broken')
  const stuck = credentials.flatMap(({ name, rotation }) =>
    rotation?.reason === undefined ? [] : [{ name, rotation }],
  )
  const findings = [
    ...broken.map(brokenFinding),
    ...stuck.map(({ name, rotation }): Finding => ({
      what: 'rotation',
      verdict: 'odd',
      says: `of ${name}: ${stepWords(rotation)}`,
      fix: [`downscope credentials rotate ${name} --abort takes it back`],
    })),
  ]
  if (findings.length > 0) return findings
  const says =
    credentials.length === 0 ? 'none are enrolled yet' : `${credentials.length} enrolled, none is broken`
  return [{ what: 'credentials', verdict: 'good', says }]
}

/** A failure is a finding here, and its hints say how to fix it. */
async function attempt(
  what: string,
  look: () => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    const found = await look()
    return 'what' in found ? [found] : found
  } catch (error) {
    if (!isFault(error)) throw error
    return [{ what, verdict: 'bad', says: error.message, fix: error.hints }]
  }
}

/** The findings as a list, each with how to fix it below. */
function showFindings(findings: readonly Finding[], paint: Paint): string {
  const width = Math.max(...findings.map(({ what }) => what.length))
  return findings.map((finding) => showFinding(finding, width, paint)).join('')
}

function showFinding({ what, verdict, says, fix = [] }: Finding, width: number, paint: Paint): string {
  const [first = '', ...more] = says.split('\n').map(plain)
  const below = [
    ...more,
    ...fix.map((line, at) => `${at === 0 ? paint.bold('fix:') : '    '} ${plain(line)}`),
  ]
  const indent = ' '.repeat(width + 11)
  return `${markOf(verdict, paint)}  ${what.padEnd(width)}  ${first}\n${below.map((line) => `${indent}${line}\n`).join('')}`
}

function markOf(verdict: Finding['verdict'], { good, bad, odd, dim }: Paint): string {
  switch (verdict) {
    case 'good':
      return good('ok     ')
    case 'bad':
      return bad('problem')
    case 'odd':
      return odd('warning')
    case 'unknown':
      return dim('-      ')
  }
}
