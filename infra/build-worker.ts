import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Metafile } from 'esbuild'
import { judgeBundle, judgeStartUp, type WorkerBundle } from './judge-worker.ts'
import { runWrangler } from './wrangler.ts'

// Bundles the Worker to dist/worker as `wrangler deploy` would, measures it in workerd, and fails beyond the
// limits. Nothing is deployed and no network is needed.

const dist = join(import.meta.dirname, '../dist')
const folder = join(dist, 'worker')
const upload = join(dist, 'worker.bundle')
const meta = join(folder, 'meta.json')
const profile = join(folder, 'startup.cpuprofile')
/** On a busy machine a start-up takes longer than it costs: the best of some is what it costs, and of more where it is too much. */
const startUps = { least: 5, most: 20 }

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
runWrangler(['deploy', '--dry-run', '--minify', '--outdir', folder, '--outfile', upload, '--metafile', meta])

const script = readFileSync(join(folder, 'workers.js'))
const bundle: WorkerBundle = { gzipBytes: gzipSync(script).length, ...readMeta() }
print(`${bundle.inputs.length} modules, ${kb(script.length)} KB, ${kb(bundle.gzipBytes)} KB compressed`)
refuse(judgeBundle(bundle))

const measured: number[] = []
do measured.push(measureStartUp())
while (
  measured.length < startUps.least ||
  (judgeStartUp(Math.min(...measured)).length > 0 && measured.length < startUps.most)
)
const startUpMs = Math.min(...measured)
print(`start-up ${startUpMs.toFixed(1)} ms of CPU, best of ${measured.length}`)
refuse(judgeStartUp(startUpMs))

/** `wrangler check startup` profiles what would be uploaded, in the installed workerd. */
function measureStartUp(): number {
  const output = runWrangler(['check', 'startup', '--worker', upload, '--outfile', profile])
  const active = /Active: ([\d.]+) ms/.exec(output)?.[1]
  if (active === undefined) throw new Error(`no start-up time in the output of wrangler:\n${output}`)
  return Number(active)
}

function readMeta(): Pick<WorkerBundle, 'inputs' | 'externals'> {
  const { outputs } = parseMeta(readFileSync(meta, 'utf8'))
  const entry = Object.values(outputs).find(({ entryPoint }) => entryPoint !== undefined)
  if (entry === undefined) throw new Error('the bundle has no entry point')
  return {
    inputs: Object.keys(entry.inputs),
    externals: entry.imports.filter(({ external }) => external === true).map(({ path }) => path),
  }
}

function parseMeta(text: string): Metafile {
  return JSON.parse(text) as Metafile
}

function print(figures: string): void {
  process.stdout.write(`dist/worker/workers.js: ${figures}\n`)
}

function refuse(faults: readonly string[]): void {
  for (const fault of faults) process.stderr.write(`build:worker: ${fault}\n`)
  if (faults.length > 0) process.exit(1)
}

function kb(bytes: number): string {
  return (bytes / 1000).toFixed(1)
}
