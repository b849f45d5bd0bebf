import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { plainEnvironment } from './run-node.ts'
import { refuseOtherHosts, type BrokerSettings } from './spawn-broker.ts'
import { collectOutput, type BrokerOutput } from './test-broker/broker-output.ts'
import { until } from './test-broker/until.ts'

/** The Worker under `wrangler dev`, in workerd. */
export interface WorkerProcess extends BrokerOutput {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Runs its schedule; the status of what the platform says of it. */
  readonly runSchedule: () => Promise<number>
  /** SIGTERM; resolves when it is over. */
  readonly stop: () => Promise<void>
}

/** Requests in ten seconds. */
export interface WorkerLimits {
  readonly caller: number
  readonly total: number
}

export interface WorkerYard {
  /** Starts one and waits until it answers. All of a yard share what they keep, so run one at a time. */
  readonly start: (settings: BrokerSettings, limits?: WorkerLimits) => Promise<WorkerProcess>
  readonly close: () => Promise<void>
}

const root = join(import.meta.dirname, '../..')
const startMsMax = 40_000

/** Runs Workers as `npm run dev:worker` does, minified as they are deployed, each in an isolate of its own. */
export function createWorkerYard(): WorkerYard {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-worker-'))
  const all: WorkerProcess[] = []

  return {
    start: async (settings, limits) => {
      refuseOtherHosts(settings)
      const config = limits === undefined ? [] : ['--config', writeConfig(folder, limits)]
      const worker = await launch(folder, settings, config)
      all.push(worker)
      await until('a Worker answers', () => answers(worker.url), { ms: startMsMax }).catch(
        (error: unknown) => {
          throw new Error(`${String(error)}\n${worker.stderr()}\n${worker.stdout()}`)
        },
      )
      return worker
    },
    close: async () => {
      await Promise.all(all.map((worker) => worker.stop()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function launch(
  folder: string,
  settings: BrokerSettings,
  config: readonly string[],
): Promise<WorkerProcess> {
  const [own, inspectorPort] = await Promise.all([freePort(), freePort()])
  // Where people sign in, the broker's own URL has to be the one that their browser opens.
  const issuer = URL.parse(settings['DOWNSCOPE_ISSUER'] ?? '')
  const port = issuer?.hostname === '127.0.0.1' ? Number(issuer.port) : own
  const variables = Object.entries(settings).flatMap(([name, value]) => ['--var', `${name}:${value}`])
  // The empty file in place of .dev.vars, which belongs to whoever works here.
  const files = ['--persist-to', folder, '--env-file', join(root, 'test/support/empty.env')]
  const ports = ['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', String(inspectorPort)]
  const options = [...config, ...files, ...ports, '--minify', '--test-scheduled']
  const child = spawn(process.execPath, [join(root, 'infra/dev-worker.ts'), ...options, ...variables], {
    cwd: root,
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
  })
  const url = `http://127.0.0.1:${port}`
  return {
    ...collectOutput(child),
    url,
    runSchedule: async () => {
      const response = await fetch(`${url}/__scheduled`)
      await response.body?.cancel()
      return response.status
    },
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** The project's own configuration with other limits. */
function writeConfig(folder: string, { caller, total }: WorkerLimits): string {
  const limits = [caller, total]
  const text = readFileSync(join(root, 'wrangler.toml'), 'utf8')
    .replace('src/workers.ts', join(root, 'src/workers.ts'))
    .replaceAll(/limit = \d+, period = \d+/g, () => `limit = ${limits.shift()}, period = 10`)
    // What was counted lasts beyond a Worker: counters of their own.
    .replaceAll('namespace_id = "', `namespace_id = "${caller}${total}`)
  const file = join(folder, 'wrangler.toml')
  writeFileSync(file, text)
  return file
}

/** Any answer will do: with faulty settings there is no other than 503. */
async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) })
    await response.body?.cancel()
    return response.headers.has('x-request-id')
  } catch {
    return false
  }
}
