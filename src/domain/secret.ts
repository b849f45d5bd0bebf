const redacted = '[secret]'

/**
 * Text that refuses to print: String(), JSON, template literals, `console.log` and `util.inspect` all show
 * `[secret]`. `reveal()` belongs on the line that sends, seals or hashes it, and nowhere else.
 */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  reveal(): string {
    return this.#text
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return redacted
  }
}
