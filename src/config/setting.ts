import type { Reading } from '../domain/result.ts'

/** One setting: its name, how its text is read, and what docs/settings.md says of it. */
export interface Setting<T> {
  readonly name: string
  /** What it is for: whole sentences, in Markdown. */
  readonly means: string
  /** What happens without it, where that is neither a value nor an error. */
  readonly without?: string
  /** Of the default. */
  readonly unit?: string
  readonly isRequired?: boolean
  /** Read as if it had been set. */
  readonly default?: string
  /** A right value; of a secret, how to make one. */
  readonly example: string
  /** The text is a document: white space around it counts. */
  readonly isDocument?: boolean
  /** `undefined` when it is not set. */
  readonly read: (text: string | undefined) => Reading<T>
}

/** A fault never repeats the text: it may be a secret, or a secret in the wrong place. */
export type Parse<T> = (text: string) => Reading<T>

export function right<T>(value: T): Reading<T> {
  return { ok: true, value }
}

export function wrong(...faults: readonly string[]): Reading<never> {
  return { ok: false, faults }
}

type Description = Omit<Setting<unknown>, 'isRequired' | 'default' | 'read'>

export function required<T>(parse: Parse<T>, description: Description): Setting<T> {
  return {
    ...description,
    isRequired: true,
    read: (text) => (text === undefined ? wrong('is required') : parse(text)),
  }
}

export function withDefault<T>(
  parse: Parse<T>,
  description: Description & { readonly default: string },
): Setting<T> {
  return { ...description, read: (text) => parse(text ?? description.default) }
}

export function optional<T>(parse: Parse<T>, description: Description): Setting<T | undefined> {
  return { ...description, read: (text) => (text === undefined ? right(undefined) : parse(text)) }
}

export function parseText(text: string): Reading<string> {
  return right(text)
}

export function parseInteger(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    return value >= min && value <= max ? right(value) : wrong(`must be a whole number from ${min} to ${max}`)
  }
}

export function parseChoice<const T extends string>(choices: readonly T[]): Parse<T> {
  return (text) => {
    const value = choices.find((choice) => choice === text)
    return value === undefined ? wrong(`must be one of ${choices.join(', ')}`) : right(value)
  }
}

export type Environment = Readonly<Record<string, string | undefined>>

/** What is set, read and judged. A NUL is a fault in any of them. */
export function readSetting<T>(setting: Setting<T>, env: Environment): Reading<T> {
  const text = textOf(setting, env)
  return text?.includes('\0') === true ? wrong('must not hold a NUL') : setting.read(text)
}

/** What is set; an empty value counts as none. */
export function textOf({ name, isDocument }: Setting<unknown>, env: Environment): string | undefined {
  const text = env[name]
  // Secret managers and `echo` leave a newline at the end.
  const trimmed = text?.trim()
  if (text === undefined || trimmed === '') return undefined
  return isDocument === true ? text : trimmed
}
