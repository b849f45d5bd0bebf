import type { Call } from './command.ts'
import type { Terminal } from './terminal.ts'
import { stripVTControlCharacters } from 'node:util'
import { hasControls, quoteForShell } from '../domain/text.ts'
import { createFault } from './fault.ts'

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

/** What is switched off where and when, and what lives on (P36); all times are the broker's own. */
export function noteSwitchedOff(
  call: Call,
  { since, everywhereBy }: { readonly since: string; readonly everywhereBy?: string | undefined },
): void {
  const at = Date.parse(since)
  const plus = (seconds: number) => new Date(at + seconds * 1000).toISOString().replace('.000Z', 'Z')
  const by = everywhereBy ?? (Number.isNaN(at) ? undefined : plus(10))
  const until = Number.isNaN(at) ? 'an hour' : `until ${plus(3600)}`
  note(call, ({ dim }) =>
    dim(
      `Off here already; on every other instance that can read the store ${by === undefined ? 'within 10 seconds' : `by ${plain(by)}`}. ` +
        'One that cannot goes on for at most DOWNSCOPE_STORE_OUTAGE_SECONDS (an hour by default).\n' +
        `Tokens already handed out live at their upstream until they expire: of Google ${until} at most.`,
    ),
  )
}

export function warn({ stderr, env }: Terminal, sentence: string): void {
  stderr.write(`${createPaint(stderr, env).odd('warning:')} ${sentence}\n`)
}

export function json(document: unknown): string {
  return `${JSON.stringify(document, undefined, 2)}\n`
}

/** Text as a terminal shows it; the same text anywhere else. */
export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  /** Neither good nor bad: to be looked at. */
  readonly odd: (text: string) => string
}

type Environment = Readonly<Record<string, string | undefined>>

export interface PaintOutput {
  readonly isTTY?: boolean
  readonly hasColors?: () => boolean
}

/** Colours on a terminal only, and never when NO_COLOR is set (https://no-color.org). */
export function createPaint(output: PaintOutput, env: Environment = process.env): Paint {
  const isWanted = (env['NO_COLOR'] ?? '') === ''
  const hasColours = output.isTTY === true && isWanted && output.hasColors?.() === true
  const paint = (code: number) => (text: string) => (hasColours ? `\u001B[${code}m${text}\u001B[0m` : text)
  return { bold: paint(1), dim: paint(2), good: paint(32), bad: paint(31), odd: paint(33) }
}

/** Columns as wide as their widest cell, two spaces apart, each line without spaces at its end. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, widthOf(cell))
  const lines = rows.map((row) =>
    row
      .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - widthOf(cell)))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

/** `1 rule`, `2 rules`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** What came from elsewhere, as one line that cannot move the cursor or change colours. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
}

function widthOf(cell: string): number {
  return stripVTControlCharacters(cell).length
}

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

/**
 * One word of a command line that is shown to be copied, for any POSIX shell. Throws for one with control, format or
 * line characters: a terminal shows another line than it copies (T25).
 */
export function shellWord(text: string): string {
  if (hasControls(text))
    throw createFault('usage', 'a name with control characters cannot be shown as a command line')
  return quoteForShell(text)
}

/** A whole command line, or as much of it as is shown. */
export function commandLine(words: readonly string[]): string {
  return words.map(shellWord).join(' ')
}
