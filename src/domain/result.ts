/** What a parser gives that its caller may try: the value, or what is wrong with the input, without a word of it. */
export type Result<T> = { readonly ok: true; readonly value: T } | Fault

/** As `Result`, where all that is wrong with the input is reported together. */
export type Reading<T> = { readonly ok: true; readonly value: T } | Faults

export interface Faults {
  readonly ok: false
  readonly faults: readonly string[]
}

export interface Fault {
  readonly ok: false
  readonly fault: string
}

export function fault(text: string): Fault {
  return { ok: false, fault: text }
}
