import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { startGoogleStandIn } from '../../test/support/google/stand-in.ts'
import { findEmulator, startFirestoreEmulator } from '../../test/support/start-firestore-emulator.ts'
import { parseBenchArguments, usage, type BenchArguments, type RowId } from './arguments.ts'
import { createBrokerWorld, type BrokerWorld } from './broker.ts'
import { runColdStarts } from './cold-start.ts'
import { measureAllPages, missedPages, pageTable } from './console-pages.ts'
import { checkContender, contenderIds, startContenders } from './contenders.ts'
import { runCost } from './cost.ts'
import { takeCores } from './cores.ts'
import { profileRow } from './profile.ts'
import { countFirestoreRequests } from './firestore-requests.ts'
import { measureLongPolicy } from './long-policy.ts'
import { coldStartTable, firestoreTable, loadTable, longPolicyLine, misses } from './report.ts'
import { runRounds } from './rounds.ts'
import { missedPolicyTargets, summarize, summarizeStarts } from './targets.ts'
import { workerdVersion } from './workerd.ts'
import { writeTables } from './write-tables.ts'

// `npm run bench`: the broker's speed as ratios to a floor measured in the same run, never as seconds.

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'downscope-bench-'))
const coldStartRounds = 15
const machineSentence = `${cpus().length} cores, Node ${process.version}, ${workerdVersion()}`

// Every server dies with this process, and what it wrote goes.
process.setMaxListeners(100)
process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.exit(await main(process.argv.slice(2)))

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--cost')) return runCost(argv, print)
  let args: BenchArguments
  try {
    args = parseBenchArguments(argv)
  } catch (error) {
    print(`bench: ${error instanceof Error ? error.message : String(error)}\n${usage}`)
    return 1
  }
  try {
    return await run(args)
  } catch (error) {
    print(`bench: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

/** The exit status. */
async function run(args: BenchArguments): Promise<number> {
  const cores = takeCores()
  print(`bench: ${machineSentence}; ${cores.sentence}`)
  buildBroker()
  const google = await startGoogleStandIn()
  const emulator = await startEmulator(args)
  try {
    const place = { folder, onServerCore: cores.onServerCore }
    const world = createBrokerWorld({ google, place, emulatorHost: emulator?.host })
    if (args.profileFolder === undefined) return await compare(world, args)
    const [id = 'hit'] = contenderIds.filter((one) => args.only?.has(one))
    const lines = await profileRow(world, { folder: args.profileFolder, windowMs: args.windowMs * 6, id })
    lines.forEach(print)
    return 0
  } finally {
    await emulator?.stop()
    await google.close()
  }
}

async function compare(world: BrokerWorld, args: BenchArguments): Promise<number> {
  const isWanted = (id: RowId): boolean => args.only?.has(id) ?? true
  const contenders = await startContenders(world, isWanted)
  try {
    for (const contender of contenders) await checkContender(world, contender)
    const measurements =
      contenders.length === 0 ? [] : await runRounds(world, contenders, { ...args, tell: print })
    for (const { server } of contenders) await server.stop()
    const { emulatorHost } = world
    const counts =
      emulatorHost === undefined || !isWanted('firestore')
        ? []
        : await countFirestoreRequests(world, emulatorHost)
    const starts = await runColdStarts(world, {
      rounds: coldStartRounds,
      bareFile: await buildBare(),
      isWanted,
      enrolled: new Set(contenders.map(({ id }) => id)),
    })

    const summaries = summarize(contenders, measurements)
    const startSummaries = summarizeStarts(starts)
    // What was measured is printed before the next part begins, which may fail.
    const report: string[] = []
    const tell = (lines: readonly string[]): void => {
      report.push(...lines)
      lines.forEach(print)
    }
    tell(loadTable(summaries))
    if (counts.length > 0) tell(firestoreTable(counts))
    if (startSummaries.length > 0) tell(coldStartTable(startSummaries))
    const longPolicy = args.only === undefined ? [measureLongPolicy()] : []
    tell(longPolicy.flatMap((figures) => ['', longPolicyLine(figures)]))
    const pages = isWanted('pages') ? await measureAllPages(folder, emulatorHost) : []
    if (pages.length > 0) tell(pageTable(pages))
    const missed = [
      ...misses(summaries, startSummaries),
      ...longPolicy.flatMap(missedPolicyTargets),
      ...missedPages(pages),
    ]
    tell([
      '',
      countsSentence(args, measurements),
      ...missed.map((sentence) => `missed: ${sentence}`),
      ...(missed.length === 0 ? ['every target is met'] : []),
    ])
    if (args.writesDocs)
      writeTables(join(root, 'docs/performance.md'), [machineSentence, ...report], process.argv.slice(2))
    if (args.jsonFile !== undefined)
      writeFileSync(
        args.jsonFile,
        JSON.stringify({ machine: machineSentence, summaries, counts, starts, measurements }, null, 2),
      )
    return missed.length > 0 && args.enforcesTargets ? 1 : 0
  } finally {
    for (const { server } of contenders) await server.stop()
  }
}

function countsSentence(
  args: BenchArguments,
  measurements: readonly { readonly answered: number }[],
): string {
  const tokens = measurements.reduce((sum, { answered }) => sum + answered, 0).toLocaleString('en')
  return (
    `medians of ${args.rounds} interleaved rounds of ${args.windowMs / 1000} s (one more warmed up); ${tokens} ` +
    'answers counted, each a token and none wrong; each broker wrote one audit record a token and asked upstream no more often than its row says'
  )
}

/** As it is deployed. */
function buildBroker(): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['infra/build.ts'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`the build fails:\n${stdout}${stderr}`)
}

/** Bundled like the broker, so that nothing but the broker is compared. */
async function buildBare(): Promise<string> {
  const outfile = join(folder, 'bare-http.mjs')
  const entry = fileURLToPath(import.meta.resolve('./bare-http.ts'))
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  })
  return outfile
}

async function startEmulator({ only, profileFolder }: BenchArguments) {
  if (profileFolder !== undefined && only?.has('firestore') !== true) return undefined
  const files = findEmulator()
  if (files.found) return startFirestoreEmulator(files, { heapMb: 2048 })
  print(`bench: no row for Firestore: ${files.missing}`)
  return undefined
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
