import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../test/support/free-port.ts'
import { cpuMsOf } from './cores.ts'

/** A server in a process of its own. */
export interface ServerProcess {
  readonly port: number
  /** CPU time so far, all threads. */
  cpuMs(): number | undefined
  /** How often the marker occurs in standard output since the last call; forgets that output. */
  countInOutput(marker: string): number
  /** Asks it to end, and resolves when it has. */
  stop(): Promise<void>
}

export interface ServerCommand {
  readonly name: string
  /** Default: this Node. */
  readonly program?: string
  /** `PORT` in them is the port, as it is in the environment under that name. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface ServerPlace {
  /** Where its output goes: a file for every server alike, so that what is written is really written. */
  readonly folder: string
  /** Command and arguments that put a program on the servers' core. */
  readonly onServerCore: readonly string[]
}

const startMsMax = 30_000
const stopMsMax = 5_000

/** Starts it and resolves when it answers on its port; `isReady` may ask for more than an open port. */
export async function startServer(
  command: ServerCommand,
  place: ServerPlace,
  isReady: (port: number) => Promise<boolean> = isListening,
): Promise<ServerProcess> {
  const port = await freePort()
  const launched = launch(command, place, port)
  const deadline = performance.now() + startMsMax
  while (!(await isReady(port))) {
    if (launched.hasEnded() || performance.now() > deadline) {
      await launched.stop()
      throw new Error(`${command.name} did not start:\n${launched.lastWords()}`)
    }
    await wait(20)
  }
  return { port, cpuMs: () => cpuMsOf(launched.pid), ...launched }
}

export interface LaunchedProcess extends Pick<ServerProcess, 'stop' | 'countInOutput'> {
  readonly pid: number
  readonly hasEnded: () => boolean
  readonly lastWords: () => string
}

/** Starts it and does not wait for anything. */
export function launch(command: ServerCommand, place: ServerPlace, port: number): LaunchedProcess {
  mkdirSync(place.folder, { recursive: true })
  const output = join(place.folder, `${port}.out`)
  const errors = join(place.folder, `${port}.err`)
  // Appending, so that the file can be emptied between two windows.
  const files = [openSync(output, 'a'), openSync(errors, 'a')] as const
  const own = command.args.map((arg) => arg.replace('PORT', String(port)))
  const [program = '', ...args] = [...place.onServerCore, command.program ?? process.execPath, ...own]
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', PORT: String(port), ...command.env },
    stdio: ['ignore', ...files],
  })
  files.forEach(closeSync)
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)
  if (child.pid === undefined) throw new Error(`${command.name} could not be started`)
  let isOver = false
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      isOver = true
      process.off('exit', kill)
      resolve()
    })
  })
  return {
    // `taskset` replaces itself by the program: this is the server's own.
    pid: child.pid,
    hasEnded: () => isOver,
    lastWords: () => `${readFileSync(output, 'utf8')}${readFileSync(errors, 'utf8')}`.slice(-4000),
    countInOutput: (marker) => {
      const count = countIn(readFileSync(output), marker)
      truncateSync(output)
      return count
    },
    stop: async () => {
      if (isOver) return
      child.kill('SIGTERM')
      const force = setTimeout(kill, stopMsMax)
      await ended
      clearTimeout(force)
    },
  }
}

async function isListening(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1000) })
    return true
  } catch {
    return false
  }
}

function countIn(octets: Buffer, marker: string): number {
  let count = 0
  for (let at = octets.indexOf(marker); at !== -1; at = octets.indexOf(marker, at + marker.length)) count += 1
  return count
}
