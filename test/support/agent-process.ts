import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { collectOutput } from './test-broker/broker-output.ts'
import { plainEnvironment, repository } from './run-node.ts'

/** `DOWNSCOPE_TEST_CLI=dist/cli.js` tests the bundle. */
const entry = join(repository, process.env['DOWNSCOPE_TEST_CLI'] ?? 'src/cli.ts')

export interface AgentProcess {
  readonly pid: number
  /** `http://127.0.0.1:PORT`, from the line that it prints. Rejects where the process ends before. */
  readonly url: Promise<string>
  readonly stdout: () => string
  readonly stderr: () => string
  /** Its status, or its signal. */
  readonly ended: Promise<number | string>
  readonly kill: (signal: NodeJS.Signals) => void
}

/** `downscope ARGS`, as it is deployed, with nothing of our environment but the PATH. */
export function startDownscope(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): AgentProcess {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: repository,
    env: { ...plainEnvironment(), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const output = collectOutput(child)
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? String(signal)))
  })
  const url = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const found = /^listening on (http:\S+)/m.exec(output.stdout())?.[1]
      if (found !== undefined) resolve(found)
    })
    void ended.then((end) => reject(new Error(`the agent ended (${end}): ${output.stderr()}`)))
  })
  url.catch(() => undefined)
  return { ...output, url, pid: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) }
}
