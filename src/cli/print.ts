import type { Call } from './command.ts'
import { createPaint, type Paint } from './paint.ts'
import type { Terminal } from './terminal.ts'

/** Prints one answer: the document with `--json`, the words for people without. */
export function printAnswer(call: Call, document: unknown, words: (paint: Paint) => string): void {
  const { terminal } = call
  const text = call.has('--json') ? json(document) : words(createPaint(terminal.stdout, terminal.env))
  terminal.stdout.write(text)
}

/** A line beside the answer: what was done, what to do next. Nobody parses it. */
export function note(call: Call, words: (paint: Paint) => string): void {
  if (call.has('--json')) return
  const { stderr, env } = call.terminal
  stderr.write(`${words(createPaint(stderr, env))}\n`)
}

export function warn({ stderr, env }: Terminal, sentence: string): void {
  stderr.write(`${createPaint(stderr, env).odd('warning:')} ${sentence}\n`)
}

export function json(document: unknown): string {
  return `${JSON.stringify(document, undefined, 2)}\n`
}
