import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { looksLikeJwt, startFakeBroker } from '../test/support/fake-broker.ts'

// Measures the agent as it is shipped, `node dist/cli.js agent`: memory, and the time from its start to the first token.
// More memory than it may have is a failure; the time is only told, for a busy machine makes it longer.

const bundle = join(import.meta.dirname, '../dist/cli.js')
const bounds = { memoryMiB: 100, firstTokenMs: 500 } as const
const starts = 5

export interface AgentMeasurement {
  /** The largest of all starts; 0 where the system does not say. */
  readonly memoryMiB: number
  /** The fastest of all starts: other programs make a start slower, and none makes it faster. */
  readonly firstTokenMs: number
}

/** Throws if there is no bundle, or a start gives no token. */
export async function measureAgent(): Promise<AgentMeasurement> {
  if (!existsSync(bundle)) throw new Error('dist/cli.js is missing: npm run build')
  const broker = await startFakeBroker()
  try {
    const measured: AgentMeasurement[] = []
    for (let start = 0; start < starts; start += 1) measured.push(await measureOnce(broker.url))
    return {
      memoryMiB: Math.max(...measured.map(({ memoryMiB }) => memoryMiB)),
      firstTokenMs: Math.min(...measured.map(({ firstTokenMs }) => firstTokenMs)),
    }
  } finally {
    await broker.close()
  }
}

async function measureOnce(broker: string): Promise<AgentMeasurement> {
  const startedMs = performance.now()
  const child = spawn(
    process.execPath,
    [bundle, 'agent', '--broker', broker, '--account', 'reports', '--platform', 'gitlab', '--port', '0'],
    { env: { DOWNSCOPE_ID_TOKEN: looksLikeJwt({ aud: broker }) }, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let said = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text
        const found = /^listening on (\S+)\n/.exec(said)?.[1]
        if (found !== undefined) resolve(found)
      })
      child.once('exit', () => reject(new Error('the agent ended before it listened')))
    })
    const path = '/computeMetadata/v1/instance/service-accounts/default/token'
    const response = await fetch(`${url}${path}`, { headers: { 'Metadata-Flavor': 'Google' } })
    if (response.status !== 200) throw new Error(`no token: ${response.status} ${await response.text()}`)
    await response.text()
    const firstTokenMs = Math.round(performance.now() - startedMs)
    return { firstTokenMs, memoryMiB: peakMemoryMiB(child.pid ?? 0) }
  } finally {
    child.kill('SIGKILL')
  }
}

function peakMemoryMiB(pid: number): number {
  const status = `/proc/${pid}/status`
  const kib = existsSync(status) ? /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, 'utf8'))?.[1] : undefined
  return Math.round(Number(kib ?? 0) / 1024)
}

/** One line, and whether the agent has no more memory than it may. */
export function judgeAgent({ memoryMiB, firstTokenMs }: AgentMeasurement): {
  text: string
  isWithin: boolean
} {
  return {
    text: `dist/cli.js agent: ${memoryMiB} MiB (at most ${bounds.memoryMiB}), first token after ${firstTokenMs} ms (meant: ${bounds.firstTokenMs})`,
    isWithin: memoryMiB <= bounds.memoryMiB,
  }
}

if (import.meta.main) {
  const { text, isWithin } = judgeAgent(await measureAgent())
  process.stdout.write(`${text}\n`)
  if (!isWithin) process.exitCode = 1
}
