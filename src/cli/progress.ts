import type { Call } from './command.ts'

/** Long work, as far as it has come. */
export interface Progress {
  readonly say: (words: string) => void
  readonly done: () => void
}

/** Turns on standard error while a person waits at a terminal; silent anywhere else and with `--json`. */
async function startProgress(call: Call, words: string): Promise<Progress> {
  const { stderr } = call.terminal
  if (stderr.isTTY !== true || call.has('--json')) return { say: () => undefined, done: () => undefined }
  const { spinner } = await import('@clack/prompts')
  const turning = spinner({ output: stderr, withGuide: false })
  turning.start(words)
  return { say: (next) => turning.message(next), done: () => turning.clear() }
}

/** Shows that `work` goes on until it is over, however it ends. */
export async function withProgress<T>(
  call: Call,
  words: string,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  const progress = await startProgress(call, words)
  try {
    return await work(progress)
  } finally {
    progress.done()
  }
}
