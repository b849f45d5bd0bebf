import { PassThrough, type Readable, type Writable } from 'node:stream'
import { main } from '../../src/cli/main.ts'

export interface CliOutcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliSurroundings {
  readonly env?: Readonly<Record<string, string>>
  /** A text and its end, or what comes in time. */
  readonly stdin?: string | Readable
  /** Takes standard output in place of the outcome, as slowly as it likes. */
  readonly stdout?: Writable
  /** Told what comes on standard error, as it comes. */
  readonly onStderr?: (text: string) => void
}

/** `downscope` in this process, without a terminal. */
export async function runCli(
  args: readonly string[],
  { env = {}, stdin = '', stdout: taker, onStderr }: CliSurroundings = {},
): Promise<CliOutcome> {
  const [stdout, stderr] = [collector(), collector()]
  if (onStderr !== undefined) stderr.stream.on('data', onStderr)
  const status = await main({
    args,
    env,
    stdin: typeof stdin === 'string' ? new PassThrough().end(stdin) : stdin,
    stdout: taker ?? stdout.stream,
    stderr: stderr.stream,
    brokerModule: 'file:///nowhere',
  })
  return { status, stdout: stdout.text(), stderr: stderr.text() }
}

function collector() {
  let text = ''
  const stream = new PassThrough()
  stream.setEncoding('utf8').on('data', (more: string) => (text += more))
  return { stream, text: () => text }
}
