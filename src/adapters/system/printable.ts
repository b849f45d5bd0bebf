import { isBrokerError } from '../../domain/broker-error.ts'
import { Secret } from '../../domain/secret.ts'

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
export function printable(value: unknown, options: { readonly withStack: boolean }): Printable {
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
