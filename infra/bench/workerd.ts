import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { z } from 'zod'
import { runWrangler } from '../wrangler.ts'
import { brokerEnvironment, enrolIn, type BrokerProcess, type BrokerWorld } from './broker.ts'
import { startServer, type ServerCommand, type ServerProcess } from './server-process.ts'

/** The Worker as `wrangler deploy` would upload it, in workerd alone: nothing of wrangler's stands before it. */
export async function startWorkerBroker(world: BrokerWorld): Promise<BrokerProcess> {
  const folder = join(world.place.folder, 'worker')
  runWrangler(['deploy', '--dry-run', '--minify', '--outdir', folder])
  const bindings = brokerEnvironment(world, 'memory:')
  return enrolIn(world, serve({ name: 'broker in workerd', script: join(folder, 'workers.js'), bindings }))
}

/** A bare Hono Worker with the same verification, bundled and run the same way. */
export async function startWorkerFloor({ once, place }: BrokerWorld): Promise<ServerProcess> {
  const script = join(place.folder, 'workerd-floor.js')
  const entry = fileURLToPath(import.meta.resolve('./workerd-floor.ts'))
  await build({ entryPoints: [entry], outfile: script, bundle: true, minify: true, format: 'esm' })
  const bindings = { BENCH_SPKI: once.publicPem, BENCH_CALLER: once.issuer }
  return startServer(serve({ name: 'floor in workerd', script, bindings }), place)
}

/** Such as `workerd 1.20261102.1`. */
export function workerdVersion(): string {
  const { version } = packageSchema.parse(fromWrangler('workerd/package.json'))
  return `workerd ${version}`
}

/** The workerd that wrangler brings, which `wrangler dev` runs. */
const fromWrangler = createRequire(createRequire(import.meta.url).resolve('wrangler/package.json'))
const packageSchema = z.object({ version: z.string() })
const programSchema = z.object({ default: z.string() })

interface Worker {
  readonly name: string
  readonly script: string
  readonly bindings: Readonly<Record<string, string>>
}

/** workerd without wrangler: a socket, one Worker, and the way out to the stand-in for Google. */
function serve({ name, script, bindings }: Worker): ServerCommand {
  const { compatibilityDate, compatibilityFlags } = projectConfig()
  // Of Cap'n Proto's strings these few escapes are JSON's too; the script is embedded as it is.
  const text = JSON.stringify
  const config = join(dirname(script), `${name.replaceAll(' ', '-')}.capnp`)
  const settings = Object.entries(bindings).map(
    ([key, value]) => `(name = ${text(key)}, text = ${text(value)})`,
  )
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = (
      modules = [(name = "worker.js", esModule = embed ${text(basename(script))})],
      bindings = [${settings.join(', ')}],
      compatibilityDate = ${text(compatibilityDate)},
      compatibilityFlags = ${text(compatibilityFlags)},
    )),
    (name = "internet", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", service = "worker")],
);
`,
  )
  const { default: program } = programSchema.parse(fromWrangler('workerd'))
  const args = ['serve', config, '--socket-addr', 'http=127.0.0.1:PORT']
  return { name, program, args, env: {} }
}

/** What wrangler.toml says, so that both Workers run as the project's does. */
function projectConfig(): {
  readonly compatibilityDate: string
  readonly compatibilityFlags: readonly string[]
} {
  const toml = readFileSync(join(import.meta.dirname, '../../wrangler.toml'), 'utf8')
  const date = /^compatibility_date = "(?<date>[\d-]+)"$/m.exec(toml)?.groups?.['date']
  const flags = /^compatibility_flags = \[(?<flags>[^\]]*)\]$/m.exec(toml)?.groups?.['flags']
  if (date === undefined || flags === undefined)
    throw new Error('wrangler.toml names no compatibility date or flags')
  return {
    compatibilityDate: date,
    compatibilityFlags: [...flags.matchAll(/"([^"]+)"/g)].map(([, flag = '']) => flag),
  }
}
