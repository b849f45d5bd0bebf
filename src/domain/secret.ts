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

/** 64 hex digits with 244 random bits: a state, a nonce, a PKCE verifier (RFC 7636 §4.1), the secret part of a link. */
export function unguessable({ uuid }: { readonly uuid: () => string }): string {
  return `${uuid()}${uuid()}`.replaceAll('-', '')
}
