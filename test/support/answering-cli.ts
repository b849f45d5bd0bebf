import { PassThrough } from 'node:stream'
import { main } from '../../src/cli/main.ts'
import type { CliOutcome } from './run-cli.ts'

export interface Answering {
  readonly env: Readonly<Record<string, string>>
  /** Somebody opens the first link that it prints; `said` is what stands on standard error by then. */
  readonly answer: (link: string, said: string) => Promise<void>
}

/** `downscope` in this process, and somebody who opens the link that it prints. */
export async function runAnswering(args: readonly string[], { env, answer }: Answering): Promise<CliOutcome> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  let [out, err] = ['', '']
  let answered: Promise<void> | undefined
  stdout.setEncoding('utf8').on('data', (more: string) => (out += more))
  stderr.setEncoding('utf8').on('data', (more: string) => {
    err += more
    const link = /https?:\/\/127\.0\.0\.1:\d+\/\S+/.exec(err)?.[0]
    if (link !== undefined && err.includes('\n', err.indexOf(link))) answered ??= answer(link, err)
  })
  const status = await main({
    args,
    env,
    stdin: new PassThrough().end(''),
    stdout,
    stderr,
    brokerModule: 'file:///nowhere',
  })
  await answered
  return { status, stdout: out, stderr: err }
}
