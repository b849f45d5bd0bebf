/** The members of a JSON object. Throws on any other JSON text. */
export function jsonMembers(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`no object: ${text}`)
  return Object.fromEntries(Object.entries(value))
}
