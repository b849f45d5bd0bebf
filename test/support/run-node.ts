import { spawn } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'

export interface Finished {
  readonly status: number | string
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

export const repository = join(import.meta.dirname, '../..')

/** What one process of ours compiled is not compiled again by the next: half of a start. */
export const compileCache = { NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/downscope') }

/** Runs a program to its end, with our own Node first on PATH and nothing else of our environment. */
export function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...plainEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ status: code ?? String(signal), stdout, stderr }))
  })
}

export function plainEnvironment(): Readonly<Record<string, string>> {
  const path = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter)
  return { PATH: path, HOME: process.env['HOME'] ?? '/', METADATA_SERVER_DETECTION: 'none', ...compileCache }
}
