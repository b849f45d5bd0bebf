import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createFault } from '../fault.ts'

/** A broker in a process of its own, by the real entry point. */
export interface BrokerProcess {
  readonly url: string
  /** Resolves with how it ended, whenever that is. */
  readonly ended: Promise<string>
  /** Asks it to end, and resolves when it has. */
  readonly stop: () => Promise<void>
}

export interface BrokerStart {
  readonly port: number
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  /** URL of the entry point on Node. */
  readonly module: string
}

/**
 * Read by the broker before its entry point, so that it does not outlive whoever started it, however that one ends. The
 * listener alone would keep a broker alive that could not start.
 */
const endWithParent = `data:text/javascript,${encodeURIComponent(
  "process.on('disconnect',()=>process.kill(process.pid,'SIGTERM'));process.channel?.unref()",
)}`

const startMsMax = 20_000
const pollMs = 20
const drainMsMax = 9_000

/** Starts it and resolves when it is ready; else throws with what it last said. */
export async function startBroker(start: BrokerStart): Promise<BrokerProcess> {
  const { port, logFile } = start
  const url = `http://127.0.0.1:${port}`
  const formerBytes = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  const child = launch(start)
  const ended = endOf(child)
  const stop = async () => {
    if (hasEnded(child)) return
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), drainMsMax)
    await ended
    clearTimeout(force)
  }
  const deadlineMs = performance.now() + startMsMax
  // Its own word first: on a port that somebody else took meanwhile, somebody else would answer.
  while (!saysItListens(logFile, formerBytes) || !(await isReady(url))) {
    if (!hasEnded(child) && performance.now() < deadlineMs)
      await new Promise((next) => setTimeout(next, pollMs))
    else {
      await stop()
      throw createFault('refused', `the broker did not start:\n${lastLines(logFile)}`)
    }
  }
  return { url, ended, stop }
}

/** What the environment asks for by PORT; throws where that is no port. */
export function portIn(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const text = env['PORT']?.trim() ?? ''
  if (text === '') return undefined
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port >= 1 && port <= 65_535) return port
  throw createFault('usage', 'PORT is a whole number from 1 to 65535')
}

/** The wanted port when it is free, so that what is printed can be remembered; else any free one. */
export async function choosePort(wanted: number): Promise<number> {
  return (await freePort(wanted)) ?? (await freePort(0)) ?? fail('no port is free on 127.0.0.1')
}

function launch({ port, env, logFile, module }: BrokerStart): ChildProcess {
  const log = openSync(logFile, 'a', 0o600)
  // What was compiled once is not compiled again: half of a start.
  const cache = getCompileCacheDir()
  try {
    return spawn(process.execPath, ['--import', endWithParent, fileURLToPath(module)], {
      // Nothing of ours: a DOWNSCOPE_ setting of the shell must not change what it is told here.
      env: {
        ...(cache !== undefined && { NODE_COMPILE_CACHE: cache }),
        ...env,
        PORT: String(port),
        DOWNSCOPE_HOST: '127.0.0.1',
      },
      // The channel tells it when we are gone.
      stdio: ['ignore', log, log, 'ipc'],
      // A group of its own: Ctrl-C reaches us alone, and we end it in order.
      detached: true,
    })
  } finally {
    closeSync(log)
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (status, signal) => resolve(signal ?? `status ${status}`))
  })
}

function hasEnded({ exitCode, signalCode, pid }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null || pid === undefined
}

/** In what the log has beyond that of former starts. */
function saysItListens(logFile: string, formerBytes: number): boolean {
  return readFileSync(logFile).includes('"message":"downscope is listening"', formerBytes)
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

function lastLines(file: string): string {
  const text = readFileSync(file, 'utf8').trim()
  return text === '' ? '(it said nothing)' : text.split('\n').slice(-8).join('\n')
}

function freePort(wanted: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(wanted, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : undefined
      server.close(() => resolve(port))
    })
  })
}

function fail(sentence: string): never {
  throw new Error(sentence)
}
