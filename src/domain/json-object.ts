/** The members of a JSON object, of which nothing is known yet. */
export type Members = Readonly<Record<string, unknown>>

/** The members of a JSON object; `undefined` for any other text. */
export function parseJsonObject(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isMembers(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Whether it is an object, as JSON understands the word: neither null nor a list. */
export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
