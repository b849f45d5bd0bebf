import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { main } from '../../src/cli/main.ts'
import { plainEnvironment, repository } from './run-node.ts'

/** A command as somebody at a terminal gave it, and all that the terminal showed. */
export interface Shown {
  readonly status: number
  /** Of both streams, colours included, with plain line ends. */
  readonly screen: string
}

export interface TerminalOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Keys that are typed as soon as the screen shows a text. */
  readonly typed?: readonly { readonly at: string; readonly keys: string | (() => Promise<string>) }[]
}

const cli = join(repository, 'infra/downscope.mjs')

/**
 * Why there is no pseudo-terminal here; `undefined` when there is one. util-linux's `script` makes it: a package with
 * code to be compiled would have to be installed everywhere for it. In CI there must be one.
 */
export function terminalFault(): string | undefined {
  const asked = spawnSync('script', ['--version'], { encoding: 'utf8' })
  if (asked.error === undefined && asked.stdout.includes('util-linux')) return undefined
  const fault = 'no pseudo-terminal: the program script of util-linux is missing'
  if (process.env['CI'] !== undefined) throw new Error(fault)
  process.stdout.write(`cli: skipped in a terminal: ${fault}\n`)
  return fault
}

/**
 * Runs `downscope` to its end as somebody at a terminal would, with nothing of our environment: in a pseudo-terminal where
 * keys are typed; in this process, with streams that say that they are a terminal, where none are, which is much quicker.
 */
export async function runAtTerminal(args: readonly string[], options: TerminalOptions): Promise<Shown> {
  if (options.typed !== undefined) return runInTerminal(args, options)
  const terminal = () =>
    Object.assign(new PassThrough(), { isTTY: true, columns: 120, hasColors: () => true })
  const [stdin, output] = [terminal(), terminal()]
  let screen = ''
  output.setEncoding('utf8').on('data', (text: string) => (screen += text))
  const before = process.cwd()
  process.chdir(options.cwd)
  try {
    const env = environmentOf(options)
    const status = await main({
      args,
      env,
      stdin,
      stdout: output,
      stderr: output,
      brokerModule: 'file:///nowhere',
    })
    return { status, screen }
  } finally {
    process.chdir(before)
  }
}

const environmentOf = ({ env }: TerminalOptions) => ({
  ...plainEnvironment(),
  TERM: 'xterm-256color',
  SHELL: '/bin/sh',
  ...env,
})

/** In a pseudo-terminal. */
function runInTerminal(args: readonly string[], options: TerminalOptions): Promise<Shown> {
  // Without a size of its own it has none, and every character would be a line.
  const line = `stty rows 40 columns 120; exec ${[process.execPath, cli, ...args].map(quoted).join(' ')}`
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    cwd: options.cwd,
    env: environmentOf(options),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const waiting = [...(options.typed ?? [])]
  let screen = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text.replaceAll('\r\n', '\n')
    const [next] = waiting
    if (next === undefined || !screen.includes(next.at)) return
    waiting.shift()
    const { keys } = next
    if (typeof keys === 'string') child.stdin.write(keys)
    else void keys().then((made) => child.stdin.write(made))
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      child.stdin.destroy()
      resolve({ status: code ?? -1, screen })
    })
  })
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}
