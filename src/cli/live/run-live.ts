import { isBrokerError } from '../../domain/broker-error.ts'
import { softwareVersion } from '../../domain/version.ts'
import { createEntropy, createSystemClock } from '../../adapters/system/clock-and-entropy.ts'
import { createNodeHttpClient } from '../../adapters/system/node-http-client.ts'
import { credentialAnswer } from '../admin-answers.ts'
import { connect } from '../admin-client.ts'
import type { Call } from '../command.ts'
import { createFault, isFault, type Exit } from '../fault.ts'
import { refuseExisting, writeNewFile } from '../files.ts'
import { note, plain, printAnswer, warn, type Paint } from '../output.ts'
import { confirm } from '../terminal.ts'
import { createConsentFlow, readClient } from './consent.ts'
import { isNotRun, openOperator, readLiveUrls, type GoogleProject } from './google-project.ts'
import { clean, openJournal, type Cleaned } from './journal.ts'
import { checks, readWrite } from './live-checks.ts'
import { type Check, type CheckOptions, createScene, isUnexpected } from './live-scene.ts'

export interface CheckResult {
  readonly name: string
  readonly claim: string
  readonly verdict: 'as documented' | 'otherwise' | 'not run'
  readonly saw: string
  readonly seconds: number
}

/** `downscope doctor --live`. */
export async function proveLive(call: Call): Promise<Exit> {
  const chosen = chosenChecks(call)
  if (call.has('--dry-run')) {
    const shown = chosen.map(({ name, claim, creates }) => ({ name, claim, creates }))
    printAnswer(
      call,
      { dry_run: true, checks: shown },
      (paint) =>
        `dry run, nothing was changed: this is what would be tried out\n\n${chosen.map((check) => describe(check, paint)).join('\n')}`,
    )
    return 'done'
  }
  const report = call.text('--report')
  if (report !== undefined) refuseExisting(report)
  const { google, options, end, record } = await prepare(call)
  try {
    await resume(call, google)
    const { results, cleaned } = await runAndClean(call, { google, chosen, options, end })
    const recorded = await record(results)
    const document = redactor(google, options)(reportOf(results, cleaned))
    if (report !== undefined) writeNewFile(report, document, { hint: 'Name another file with --report.' })
    printAnswer(call, { checks: results, left: cleaned.left.map(({ thing }) => thing), recorded }, (paint) =>
      showResults(results, paint),
    )
    return results.every(({ verdict }) => verdict !== 'otherwise') &&
      results.some(({ verdict }) => verdict !== 'not run')
      ? 'done'
      : 'refused'
  } finally {
    google.journal.close()
  }
}

interface LiveRun {
  readonly google: GoogleProject
  readonly chosen: readonly Check[]
  readonly options: CheckOptions
  readonly end: () => Promise<void>
}

/** However the checks end, what they made is taken away again. */
async function runAndClean(call: Call, { google, chosen, options, end }: LiveRun) {
  let results: readonly CheckResult[] = []
  let cleaned: Cleaned = { removed: [], left: [] }
  try {
    results = await runChecks(google, chosen, { ...options, approve: (check) => approve(call, check) })
  } finally {
    await end()
    cleaned = await clean(google)
    tell(call, google, cleaned)
  }
  return { results, cleaned }
}

function chosenChecks(call: Call): readonly Check[] {
  const names = call.texts('--only')
  const unknown = names.find((name) => !checks.some((check) => check.name === name))
  if (unknown !== undefined)
    throw createFault('usage', `there is no check ${plain(unknown)}`, {
      hints: ['downscope doctor --live --dry-run lists them.'],
    })
  return names.length === 0 ? checks : checks.filter(({ name }) => names.includes(name))
}

async function prepare(call: Call) {
  const { env } = call.terminal
  const project = required(call, '--project', /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/)
  const bucket = required(call, '--bucket', /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/)
  const kmsKey = call.text('--kms-key')
  if (
    kmsKey !== undefined &&
    !/^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[\w-]+$/.test(kmsKey)
  )
    throw createFault('usage', '--kms-key is not projects/P/locations/L/keyRings/R/cryptoKeys/K')
  const database = call.text('--database') ?? '(default)'
  if (!/^(?:\(default\)|[a-z][a-z0-9-]{2,62})$/.test(database))
    throw createFault('usage', '--database is not the id of a Firestore database')
  const clientFile = call.text('--oauth-client')
  const client = clientFile === undefined ? undefined : await readClient(clientFile)
  const broker = await askCredential(call)
  const outside = { http: createNodeHttpClient(), clock: createSystemClock(), urls: readLiveUrls(env) }
  const entropy = createEntropy()
  const google: GoogleProject = {
    ...outside,
    project,
    bucket,
    entropy,
    run: entropy.uuid().slice(0, 8),
    operator: await openOperator(env, outside),
    journal: openJournal(call.text('--journal') ?? '.downscope/doctor-live.json'),
  }
  const flow = createConsentFlow(google, client, {
    scopes: [readWrite, 'https://www.googleapis.com/auth/userinfo.email'],
    // With --json too: nobody could consent without it.
    show: (link) => void call.terminal.stderr.write(`Open this in a browser, as yourself:\n  ${link}\n`),
  })
  const options: CheckOptions = {
    kmsKey,
    database,
    metadataHost: env['GCE_METADATA_HOST'],
    email: broker?.email,
    consent: flow.grant,
  }
  return { google, options, end: flow.end, record: broker?.record ?? (() => Promise.resolve(undefined)) }
}

function required(call: Call, name: string, pattern: RegExp): string {
  const text = call.text(name)
  if (text !== undefined && pattern.test(text)) return text
  throw createFault(
    'usage',
    text === undefined ? `--live wants ${name}` : `${name} is not one that Google has`,
    {
      hints: ['downscope doctor --live --dry-run says what would be done, without either.'],
    },
  )
}

/** The account of `--credential`, and how the broker is told what was seen of it (T11). */
async function askCredential(call: Call) {
  const name = call.text('--credential')
  if (name === undefined) return undefined
  const client = await connect(call)
  const path = `credentials/${encodeURIComponent(name)}`
  const { value } = await client.ask({ method: 'GET', path, answer: credentialAnswer })
  if (!value.identity.endsWith('.gserviceaccount.com'))
    throw createFault('usage', `${plain(name)} is not a service account of Google’s`)
  return {
    email: value.identity,
    record: async (results: readonly CheckResult[]): Promise<string | undefined> => {
      const seen = results.find((result) => result.name === 'intermediary-alone')
      if (seen?.verdict !== 'as documented') return undefined
      const body = { intermediary_refused: true }
      await client.ask({ method: 'PATCH', path, body, answer: credentialAnswer })
      return name
    },
  }
}

/** What an earlier run that was broken off left behind goes first. */
async function resume(call: Call, google: GoogleProject): Promise<void> {
  const things = google.journal.things()
  if (things.length === 0) return
  const list = things.map(({ kind, name }) => `${kind} ${plain(name)}`).join(', ')
  await confirm(call, `An earlier run was broken off. Take away what it made (${list})?`)
  tell(call, google, await clean(google))
  if (google.journal.things().length > 0)
    throw createFault('refused', 'what an earlier run made is still there', {
      hints: [
        `The journal ${google.journal.file} names it. Take it away, or name another file with --journal.`,
      ],
    })
}

function tell(call: Call, { journal }: GoogleProject, { removed, left }: Cleaned): void {
  if (removed.length > 0)
    note(call, ({ dim }) => dim(`Taken away again: ${removed.map(({ kind }) => kind).join(', ')}.`))
  for (const { thing, why } of left)
    warn(call.terminal, `${thing.kind} ${plain(thing.name)} is left: ${plain(why)}`)
  if (journal.things().length > 0)
    note(call, () => `Run it again to take away what is left; ${journal.file} names it.`)
}

async function approve(call: Call, { name, claim, creates }: Check): Promise<boolean> {
  const what = creates.length === 0 ? 'nothing is created' : `creates ${creates.join('; ')}`
  try {
    await confirm(call, `${name}: ${claim}. Try it out (${what})?`)
    return true
  } catch (error) {
    if (isFault(error) && error.exit === 'refused') return false
    throw error
  }
}

/** One after the other. What could not be tried out is `not run`, and says nothing about Google. */
export async function runChecks(
  google: GoogleProject,
  chosen: readonly Check[],
  { approve, ...options }: CheckOptions & { readonly approve: (check: Check) => Promise<boolean> },
): Promise<readonly CheckResult[]> {
  const scene = createScene(google)
  const results: CheckResult[] = []
  for (const check of chosen) {
    const isWanted = await approve(check)
    const beganMs = google.clock.steadyMs()
    const seen = isWanted
      ? await attempt(() => check.run(scene, options))
      : { verdict: 'not run' as const, saw: 'you did not want it' }
    const seconds = Math.round((google.clock.steadyMs() - beganMs) / 1000)
    results.push({ name: check.name, claim: check.claim, ...seen, seconds })
  }
  return results
}

async function attempt(run: () => ReturnType<Check['run']>): Promise<Pick<CheckResult, 'verdict' | 'saw'>> {
  try {
    const { isAsMeant, saw } = await run()
    return { verdict: isAsMeant ? 'as documented' : 'otherwise', saw }
  } catch (error) {
    if (isUnexpected(error)) return { verdict: 'otherwise', saw: error.message }
    if (isNotRun(error) || isFault(error)) return { verdict: 'not run', saw: error.message }
    if (isBrokerError(error)) return { verdict: 'not run', saw: error.reason }
    throw error
  }
}

/** Markdown to be pasted into an issue. */
function reportOf(results: readonly CheckResult[], { left }: Cleaned): string {
  const cell = (text: string) => plain(text).replaceAll('|', String.raw`\|`)
  return `# downscope doctor --live

Downscope ${softwareVersion}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}. Names are left out.

| Check | Result | Seen | Took |
|---|---|---|---|
${results.map(({ name, verdict, saw, seconds }) => `| ${name} | ${verdict} | ${cell(saw)} | ${seconds} s |\n`).join('')}
${left.length === 0 ? 'Everything that was made is taken away again.' : `Left behind: ${left.map(({ thing }) => thing.kind).join(', ')}.`}
`
}

/** Names of the operator's, in whatever words they came back. */
function redactor({ project, bucket, run }: GoogleProject, { kmsKey, email }: CheckOptions) {
  const names = [
    [kmsKey, 'KEY'],
    [email, 'ACCOUNT'],
    [bucket, 'BUCKET'],
    [project, 'PROJECT'],
    [run, 'RUN'],
  ] as const
  return (text: string): string => {
    const named = names.reduce(
      (words, [name, word]) => (name === undefined ? words : words.replaceAll(name, word)),
      text,
    )
    return named
      .replaceAll(/[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g, 'ACCOUNT')
      .replaceAll(/\bprojects\/\d+/g, 'projects/NUMBER')
  }
}

function describe({ name, claim, creates }: Check, { bold, dim }: Paint): string {
  const what = creates.length === 0 ? ['creates nothing'] : creates.map((one) => `creates ${one}`)
  return `${bold(name)}\n  ${claim}\n${what.map((line) => dim(`  ${line}\n`)).join('')}`
}

function showResults(results: readonly CheckResult[], { good, bad, dim }: Paint): string {
  const paints = { 'as documented': good, otherwise: bad, 'not run': dim }
  const width = Math.max(...results.map(({ name }) => name.length))
  return results
    .map(({ name, verdict, saw }) => {
      const because = verdict === 'not run' ? 'not run, because ' : ''
      return `${paints[verdict](verdict.padEnd(13))}  ${name.padEnd(width)}  ${because}${plain(saw)}\n`
    })
    .join('')
}
