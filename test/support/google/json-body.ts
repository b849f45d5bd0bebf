import { mediaType } from './form.ts'
import { failWith } from './google-errors.ts'
import { isObject, type JsonObject, type Received } from './reply.ts'

/**
 * The JSON object of a request to one of Google's JSON services, or a refusal: another content
 * type, anything but an object, and a member the method does not know are INVALID_ARGUMENT.
 */
export function readJsonBody(received: Received, known: readonly string[]): JsonObject {
  if (received.body === '') return {}
  if (mediaType(received) !== 'application/json') {
    return failWith('INVALID_ARGUMENT', `Unsupported content type: ${received.contentType}`)
  }
  const body = parseObject(received.body)
  for (const name of Object.keys(body)) {
    if (!known.includes(name)) {
      failWith(
        'INVALID_ARGUMENT',
        `Invalid JSON payload received. Unknown name "${name}": Cannot find field.`,
      )
    }
  }
  return body
}

/** A member that is absent, null or a string. */
export function optionalText(body: JsonObject, name: string): string | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? value : invalidValue(name)
}

export function requiredText(body: JsonObject, name: string): string {
  const value = optionalText(body, name)
  return value === undefined || value === '' ? invalidValue(name) : value
}

/** A member that is absent, null or a list of strings; absent reads as an empty list. */
export function textList(body: JsonObject, name: string): readonly string[] {
  const value = body[name] ?? []
  if (!Array.isArray(value)) return invalidValue(name)
  return value.map((item: unknown) => (typeof item === 'string' ? item : invalidValue(name)))
}

/** A boolean; Node and Python send it as a string at times and Google takes that (docs/google.md §3.1). */
export function booleanLike(body: JsonObject, name: string): boolean {
  const value = body[name] ?? false
  if (typeof value === 'boolean') return value
  return value === 'true' || (value === 'false' ? false : invalidValue(name))
}

export function invalidValue(name: string): never {
  return failWith('INVALID_ARGUMENT', `Invalid value at '${name}'`)
}

function parseObject(text: string): JsonObject {
  try {
    const body: unknown = JSON.parse(text)
    if (isObject(body)) return body
  } catch {
    // falls through: not JSON and not an object are refused alike
  }
  return failWith('INVALID_ARGUMENT', 'Invalid JSON payload received.')
}
