/** One setting: its name, how its text is read, and what the documentation says of it. */
export interface Setting<T> {
  readonly name: string
  /** As the documentation shows it. */
  readonly defaultsTo: string
  /** One sentence. */
  readonly means: string
  /** A right value; of a secret, how to make one. */
  readonly example: string
  /** The text is a document: white space around it counts. */
  readonly isDocument?: boolean
  /** `undefined` when it is not set. */
  readonly read: (text: string | undefined) => Reading<T>
}

/** A fault never repeats the text: it may be a secret, or a secret in the wrong place. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly string[] }

export type Parse<T> = (text: string) => Reading<T>

export function right<T>(value: T): Reading<T> {
  return { ok: true, value }
}

export function wrong(...faults: readonly string[]): Reading<never> {
  return { ok: false, faults }
}

type Description = Pick<Setting<unknown>, 'name' | 'means' | 'example' | 'isDocument'>

export function required<T>(description: Description, parse: Parse<T>): Setting<T> {
  return {
    ...description,
    defaultsTo: 'required',
    read: (text) => (text === undefined ? wrong('is required') : parse(text)),
  }
}

/** `text` is read as if it had been set; `unit` is for the documentation. */
export function withDefault<T>(
  description: Description & { readonly default: string; readonly unit?: string },
  parse: Parse<T>,
): Setting<T> {
  const { default: text, unit, ...rest } = description
  const shown = `\`${text}\``
  return {
    ...rest,
    defaultsTo: unit === undefined ? shown : `${shown} ${unit}`,
    read: (set) => parse(set ?? text),
  }
}

/** `defaultsTo`: what the documentation says happens without it. */
export function optional<T>(
  description: Description & { readonly defaultsTo?: string },
  parse: Parse<T>,
): Setting<T | undefined> {
  return {
    defaultsTo: '',
    ...description,
    read: (text) => (text === undefined ? right(undefined) : parse(text)),
  }
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
