import { parseArgs } from 'node:util'
import {
  curlClients,
  gcloudClients,
  goClients,
  javaClients,
  nodeClients,
  pythonClients,
  rustClients,
  type Attempt,
} from './clients.ts'
import { isOnPath, prepareToolchain, type Language, type Toolchain } from './toolchains.ts'
import { prepareWays, type Environments } from './ways.ts'
import { createClientsWorld, type ClientsWorld } from './world.ts'

// `npm run clients`: unmodified clients ask a broker and an agent for tokens, each by its own library. Prints which
// scope Google's stand-in recorded for each. `--require LANGUAGE` fails where its tools are missing, `--rust` adds what
// builds for minutes, `--only TEXT` runs the clients whose name has it.

const { values } = parseArgs({
  options: {
    require: { type: 'string', multiple: true, default: [] },
    rust: { type: 'boolean', default: false },
    only: { type: 'string' },
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
  const languages: readonly Language[] = [
    'node',
    'python',
    'go',
    'java',
    ...(values.rust ? (['rust'] as const) : []),
  ]
  const skipped: string[] = values.rust ? [] : ['rust: builds for minutes, pass --rust']
  const toolchains = new Map<Language, string>()
  for (const language of languages) {
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
    const attempts = (await attemptsWith(world, toolchains)).filter(
      ({ client, way }) => client.includes(values.only ?? '') && !cannot.has(way),
    )
    const rows = await runAll(attempts, world)
    process.stdout.write(tableOf(rows))
    for (const line of skipped) process.stdout.write(`skipped: ${line}\n`)
    const good = rows.filter(({ isGood }) => isGood).length
    process.stdout.write(`clients: ${good} passed, ${rows.length - good} failed\n`)
    for (const name of missing) process.stderr.write(`clients: ${name} is required and was skipped\n`)
    return good === rows.length && good > 0 && missing.length === 0 ? 0 : 1
  } finally {
    await world.close()
  }
}

async function attemptsWith(
  world: ClientsWorld,
  toolchains: ReadonlyMap<Language, string>,
): Promise<readonly Attempt[]> {
  const environments: Environments = await prepareWays(world, world.url, 'plain')
  const given = (folder: string) => ({ world, folder, environments })
  const [node, python, go, java, rust] = (['node', 'python', 'go', 'java', 'rust'] as const).map((name) =>
    toolchains.get(name),
  )
  return [
    ...(node === undefined ? [] : nodeClients(given(node))),
    ...(python === undefined ? [] : await pythonClients(given(python))),
    ...(go === undefined ? [] : goClients(given(go))),
    ...(java === undefined ? [] : await behindTls(world, java)),
    ...(rust === undefined ? [] : rustClients(given(rust))),
    ...(isOnPath('gcloud') ? await gcloudClients(world, environments) : []),
    ...(isOnPath('curl') ? await curlClients(world, environments) : []),
  ]
}

/** Google's library for Java refuses a `token_url` by http. */
async function behindTls(world: ClientsWorld, folder: string): Promise<readonly Attempt[]> {
  const { url, trustStore } = await world.openTls()
  return javaClients({ world, folder, trustStore, environments: await prepareWays(world, url, 'tls') })
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
