import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { isLoopback } from './block-outbound.ts'
import { freePort } from './free-port.ts'
import { compileCache } from './run-node.ts'
import { collectOutput, type BrokerOutput } from './test-broker/broker-output.ts'
import { collectTurns, turnMsMax, type BrokerTurns } from './test-broker/broker-turns.ts'
import { escapeMarker } from './test-broker/escape-marker.ts'
import { until } from './test-broker/until.ts'

export type BrokerSettings = Readonly<Record<string, string>>

/** How a process ended. */
export interface BrokerEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A broker in a process of its own, whether it is ready, on its way or over. */
export interface BrokerProcess extends BrokerOutput, BrokerTurns {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly ended: Promise<BrokerEnd>
  /** SIGTERM; resolves when it is over, and throws unless it ended by itself with exit code 0. */
  readonly stop: () => Promise<void>
  readonly terminate: () => void
  readonly kill9: () => Promise<void>
  readonly pause: () => void
  readonly resume: () => void
}

export interface BrokerYard {
  /** Starts one and waits until it is ready. */
  readonly start: (settings: BrokerSettings) => Promise<BrokerProcess>
  /** Starts one and waits for nothing. */
  readonly launch: (settings: BrokerSettings) => Promise<BrokerProcess>
  /** Kills what still runs; throws when any of them tried to leave this machine, or stood still for too long. */
  readonly close: () => Promise<void>
}

const root = join(import.meta.dirname, '../..')
const guard = import.meta.resolve('./test-broker/refuse-outbound.ts')
const endWithParent = import.meta.resolve('./test-broker/end-with-parent.ts')
const probe = import.meta.resolve('./test-broker/measure-turns.ts')
/** `DOWNSCOPE_TEST_ENTRY=dist/cloud-run.js` tests the bundle. */
const entry = join(root, process.env['DOWNSCOPE_TEST_ENTRY'] ?? 'src/cloud-run.ts')
const startMsMax = 120_000
const stopMsMax = 12_000

/**
 * Runs brokers as they are deployed: `node src/cloud-run.ts` with the settings given and nothing else in their
 * environment but the compile cache. They cannot reach beyond loopback: settings that name another host are refused here, and attempts
 * are refused in the process and fail `close`.
 */
export function createBrokerYard(): BrokerYard {
  const all: BrokerProcess[] = []

  const launch = async (settings: BrokerSettings): Promise<BrokerProcess> => {
    refuseOtherHosts(settings)
    const port = settings['PORT'] === undefined ? await freePort() : Number(settings['PORT'])
    const child = spawn(
      process.execPath,
      ['--import', guard, '--import', endWithParent, '--import', probe, entry],
      {
        cwd: root,
        env: { ...compileCache, ...settings, PORT: String(port) },
        stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      },
    )
    const broker = control(child, port)
    all.push(broker)
    return broker
  }

  return {
    launch,
    start: async (settings) => {
      const broker = await launch(settings)
      let end: BrokerEnd | undefined
      void broker.ended.then((ended) => (end = ended))
      await until(
        'a broker is ready',
        async () => {
          if (end !== undefined) throw new Error(`the broker ended: ${broker.stderr()}${broker.stdout()}`)
          return await isReady(broker.url)
        },
        { ms: startMsMax },
      )
      return broker
    },
    close: async () => {
      await Promise.all(all.map((broker) => broker.kill9()))
      const attempts = all.flatMap((broker) =>
        broker
          .stderr()
          .split('\n')
          .filter((line) => line.startsWith(escapeMarker)),
      )
      const slow = all.map((broker) => broker.longest()).filter(({ ms }) => ms > turnMsMax)
      if (slow.length > 0) throw new Error(`a broker let all others wait: ${JSON.stringify(slow)}`)
      if (attempts.length > 0) throw new Error(`a broker tried to leave this machine: ${attempts.join('; ')}`)
    },
  }
}

function control(child: ChildProcess, port: number): BrokerProcess {
  const { pid } = child
  if (pid === undefined) throw new Error('the broker could not be started')
  const ended = new Promise<BrokerEnd>((resolve) => {
    // `close` and not `exit`: by then all of its output has been read.
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  const kill9 = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  const output = collectOutput(child)
  return {
    ...output,
    ...collectTurns(child),
    url: `http://127.0.0.1:${port}`,
    port,
    pid,
    ended,
    kill9,
    terminate: () => void child.kill('SIGTERM'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop: async () => {
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
      const { code, signal } = await ended
      clearTimeout(force)
      if (code !== 0) throw new Error(`the broker ended with ${code ?? signal}: ${output.stderr()}`)
    },
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) })
    await response.body?.cancel()
    return response.status === 200
  } catch {
    return false
  }
}

/** The issuer is a name and nobody connects to it; everything else that looks like an address must be loopback. */
export function refuseOtherHosts(settings: BrokerSettings): void {
  for (const [name, value] of Object.entries(settings)) {
    if (name === 'FIRESTORE_EMULATOR_HOST' && !isLoopback(value.replace(/:\d+$/, '')))
      throw new Error(`${name} is not loopback`)
    if (!name.startsWith('GOOGLE_')) continue
    if (!isLoopback(new URL(value).hostname)) throw new Error(`${name} is not loopback`)
  }
}
