import { escapeInvisible } from '../../domain/text.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log, LogLevel } from '../../ports/log.ts'
import { isBrokerError } from '../../domain/broker-error.ts'
import { Secret } from '../../domain/secret.ts'

const severities = { debug: 'DEBUG', info: 'INFO', warn: 'WARNING', error: 'ERROR' } as const
const ranks = { debug: 0, info: 1, warn: 2, error: 3 } as const

// The entry's own members; a field of such a name gets an underscore.
const reserved: ReadonlySet<string> = new Set(['severity', 'time', 'message'])

/**
 * One line of JSON a message, with Cloud Logging's names. Throws only if `write` does. Secrets do not print, and of
 * errors that are not ours only name, code and, at `error`, the stack's frames: their messages may quote what somebody
 * sent.
 */
export function createJsonLog(deps: {
  readonly level: LogLevel
  /** What it returns is not looked at: a line that cannot be logged stops nobody. */
  readonly write: (line: string) => unknown
  readonly clock: Pick<Clock, 'now'>
}): Log {
  const least = ranks[deps.level]
  return (level, message, fields = {}) => {
    if (ranks[level] < least) return
    const time = new Date(deps.clock.now() * 1000).toISOString()
    const entry = { severity: severities[level], time, message }
    deps.write(escapeInvisible(JSON.stringify({ ...entry, ...printableFields(fields, level) })))
  }
}

function printableFields(fields: Readonly<Record<string, unknown>>, level: LogLevel): object {
  const withStack = level === 'error'
  try {
    return Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        reserved.has(name) ? `${name}_` : name,
        printable(value, { withStack }),
      ]),
    )
  } catch {
    // A getter or proxy that throws.
    return { fields: '[unprintable]' }
  }
}

export type Printable =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Printable[]
  | { readonly [name: string]: Printable }

const depthMax = 6
const valuesMax = 500
const textCharsMax = 4000

/**
 * A value as a log may show it: a `Secret` is `[secret]`, an error keeps name, code, our own `reason` and causes but
 * no message, and whatever is neither plain data nor an error shows only its class. Bounded in depth and length.
 */
function printable(value: unknown, options: { readonly withStack: boolean }): Printable {
  return show(value, { ...options, valuesLeft: valuesMax }, 0)
}

interface Printing {
  readonly withStack: boolean
  valuesLeft: number
}

function show(value: unknown, printing: Printing, depth: number): Printable {
  switch (typeof value) {
    case 'string':
      return shorten(value)
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'bigint':
      return String(value)
    case 'boolean':
    case 'undefined':
      return value
    case 'symbol':
    case 'function':
      return `[${typeof value}]`
    case 'object':
      return value === null ? null : showObject(value, printing, depth)
  }
}

function showObject(value: object, printing: Printing, depth: number): Printable {
  if (value instanceof Secret) return '[secret]'
  printing.valuesLeft -= 1
  if (depth >= depthMax || printing.valuesLeft < 0) return '[more]'
  if (value instanceof Error) return showError(value, printing, depth)
  const inner = (member: unknown): Printable => show(member, printing, depth + 1)
  if (Array.isArray(value)) return value.slice(0, valuesMax).map(inner)
  const prototype: unknown = Object.getPrototypeOf(value)
  // No toJSON of others: a Buffer's prints its octets, a URL's its query.
  if (prototype !== Object.prototype && prototype !== null) return `[${classOf(value)}]`
  const members = Object.entries(value).slice(0, valuesMax)
  return Object.fromEntries(members.map(([name, member]) => [shorten(name), inner(member)]))
}

function showError(error: Error, printing: Printing, depth: number): Printable {
  const code: unknown = 'code' in error ? error.code : undefined
  return {
    name: isWord(error.name) ? error.name : 'Error',
    code: typeof code === 'number' || isWord(code) ? code : undefined,
    reason: isBrokerError(error) ? shorten(error.reason) : undefined,
    stack: printing.withStack ? stackFrames(error) : undefined,
    cause: error.cause instanceof Error ? show(error.cause, printing, depth + 1) : undefined,
    errors:
      error instanceof AggregateError ? error.errors.map((one) => show(one, printing, depth + 1)) : undefined,
  }
}

/** The stack without its message, however many lines that has; nothing when the two do not fit together. */
function stackFrames({ stack, message }: Error): readonly string[] {
  if (typeof stack !== 'string') return []
  const header = /^[\w$.]+(?: \[\w+\])?/.exec(stack)?.[0] ?? ''
  const opening = message === '' ? header : `${header}: ${message}`
  if (!stack.startsWith(`${opening}\n`)) return []
  const lines = stack.slice(opening.length + 1).split('\n')
  return lines
    .map((line) => line.trim())
    .filter((line) => /^at .*(?::\d+:\d+|<anonymous>|native)\)?$/.test(line))
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.:-]{1,80}$/.test(value)
}

function classOf(value: object): string {
  const { name } = value.constructor ?? {}
  return isWord(name) ? name : 'object'
}

function shorten(text: string): string {
  return text.length > textCharsMax ? `${text.slice(0, textCharsMax)}…` : text
}

/** One line on the console, which is where Workers take their logs from; a line of JSON is found by its members. */
export function writeConsoleLine(line: string): void {
  console.log(line)
}
