import { parseArgs } from 'node:util'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository, runProgram } from '../../test/support/run-node.ts'
import type { Attempt } from './attempt.ts'
import { attemptsOf } from './clients.ts'
import { isOnPath, languages, prepareToolchain, type Language, type Toolchain } from './toolchains.ts'
import { prepareWays } from './ways.ts'
import { createClientsWorld, type ClientsWorld } from './world.ts'

// `npm run clients`: unmodified clients ask a broker and an agent for tokens, each by its own library. Prints which
// scope Google's stand-in recorded for each. `--require LANGUAGE` fails where its tools are missing, `--rust` adds what
// builds for minutes, `--only TEXT` runs the clients whose name has it, `--write` puts the table into docs/clients.md if
// all ran and none failed.

const { values } = parseArgs({
  options: {
    require: { type: 'string', multiple: true, default: [] },
    rust: { type: 'boolean', default: false },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})

interface Row {
  readonly client: string
  readonly version: string
  readonly way: string
  readonly outcome: string
  readonly isGood: boolean
}

/** What its rows are called: for `--only` no other toolchain is prepared. */
const clientsIn: Readonly<Record<Language, readonly string[]>> = {
  node: ['Node google-auth-library'],
  python: ['Python google-auth', 'Python google-cloud-storage', 'Authlib'],
  go: ['Go cloud.google.com/go/auth', 'Go golang.org/x/oauth2'],
  java: ['Java google-auth-library-java', 'Java Nimbus oauth2-oidc-sdk'],
  rust: ['Rust google-cloud-auth'],
}

const atOnce = 2
process.exitCode = await main()

async function main(): Promise<number> {
  const skipped: string[] = values.rust ? [] : ['rust: builds for minutes, pass --rust']
  const toolchains = new Map<Language, string>()
  for (const language of languages) {
    if (language === 'rust' && !values.rust) continue
    if (!clientsIn[language].some((name) => name.includes(values.only ?? ''))) continue
    const toolchain: Toolchain = await prepareToolchain(language)
    if (toolchain.found) toolchains.set(language, toolchain.folder)
    else skipped.push(`${language}: ${toolchain.why}`)
  }
  for (const tool of ['gcloud', 'curl']) if (!isOnPath(tool)) skipped.push(`${tool}: not installed`)
  const missing = values.require.filter((name) => skipped.some((line) => line.startsWith(`${name}:`)))
  const world = await createClientsWorld()
  try {
    const cannot = await world.missing()
    for (const [way, why] of cannot) skipped.push(`${way}: ${why}`)
    const attempts = (await attemptsIn(world, toolchains)).filter(
      ({ client, way }) => client.includes(values.only ?? '') && !cannot.has(way),
    )
    const rows = await runAll(attempts, world)
    const table = tableOf(rows)
    process.stdout.write(table)
    for (const line of skipped) process.stdout.write(`skipped: ${line}\n`)
    const good = rows.filter(({ isGood }) => isGood).length
    process.stdout.write(`clients: ${good} passed, ${rows.length - good} failed\n`)
    for (const name of missing) process.stderr.write(`clients: ${name} is required and was skipped\n`)
    const isGood = good === rows.length && good > 0 && missing.length === 0
    if (values.write) {
      if (!isGood || skipped.length > 0 || values.only !== undefined)
        throw new Error('--write: the table is of all clients, and all must pass')
      writeTable(table)
    }
    return isGood ? 0 : 1
  } finally {
    await world.close()
  }
}

async function attemptsIn(
  world: ClientsWorld,
  folders: ReadonlyMap<Language, string>,
): Promise<readonly Attempt[]> {
  const environments = await prepareWays(world, world.url, 'plain')
  const versions = {
    ...(await versionOf('gcloud', ['version'], /^Google Cloud SDK (\S+)/)),
    ...(await versionOf('curl', ['--version'], /^curl (\S+)/)),
  }
  if (!folders.has('java')) return attemptsOf({ world, environments, folders, versions })
  const { url, trustStore } = await world.openTls()
  const behindTls = { trustStore, environments: await prepareWays(world, url, 'tls') }
  return attemptsOf({ world, environments, folders, versions, behindTls })
}

async function versionOf(
  tool: 'gcloud' | 'curl',
  args: readonly string[],
  pattern: RegExp,
): Promise<Readonly<Partial<Record<'gcloud' | 'curl', string>>>> {
  if (!isOnPath(tool)) return {}
  const { stdout } = await runProgram(tool, args, { cwd: repository })
  return { [tool]: pattern.exec(stdout)?.[1] ?? '' }
}

/** In the order given, a few at once. */
async function runAll(attempts: readonly Attempt[], world: ClientsWorld): Promise<readonly Row[]> {
  const rows: Row[] = []
  const waiting = attempts.map((attempt, index) => ({ attempt, index }))
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      rows[next.index] = await judge(next.attempt, world)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return rows
}

async function judge({ client, version, way, expected, run }: Attempt, world: ClientsWorld): Promise<Row> {
  try {
    const recorded = world.recorded(await run())
    const isGood = recorded === expected
    return { client, version, way, isGood, outcome: isGood ? recorded : `FAILED: recorded "${recorded}"` }
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 300) : 'it failed'
    return { client, version, way, isGood: false, outcome: `FAILED: ${reason}` }
  }
}

function tableOf(rows: readonly Row[]): string {
  const lines = [
    ['Client', 'Version', 'Way', 'Recorded by Google’s stand-in'],
    ['---', '---', '---', '---'],
    ...rows.map(({ client, version, way, outcome }) => [client, version, way, outcome.replaceAll('|', '/')]),
  ]
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function writeTable(table: string): void {
  const path = join(repository, 'docs/clients.md')
  const document = readFileSync(path, 'utf8')
  const end = document.indexOf('\n\n', document.indexOf('\n| Client | Version |')) + 1
  const start = document.indexOf('| Client | Version |')
  writeFileSync(path, document.slice(0, start) + table + document.slice(end))
}
