import { requestMalformed } from '../domain/broker-error.ts'
import { mediaType } from './media-type.ts'

export interface FormMessage {
  /** The header as sent. */
  readonly contentType: string | null
  readonly text: string
}

/** Parameters by name; empty ones are left out. */
export type Form = ReadonlyMap<string, string>

/** The parameters of a form-encoded body. Throws `request_malformed`. Source: RFC 6749 §3.2 and appendix B. */
export function parseForm({ contentType, text }: FormMessage): Form {
  if (mediaType(contentType) !== 'application/x-www-form-urlencoded')
    throw requestMalformed('the Content-Type must be application/x-www-form-urlencoded')
  const seen = new Set<string>()
  const form = new Map<string, string>()
  // URLSearchParams drops a leading "?", which in a body is part of a name.
  for (const [name, value] of new URLSearchParams(text.startsWith('?') ? `&${text}` : text)) {
    // RFC 6749 §3.2: a repeated parameter is malformed, whatever its name, and one without a value is omitted.
    if (seen.has(name)) throw requestMalformed('a parameter is repeated')
    seen.add(name)
    if (value !== '') form.set(name, value)
  }
  return form
}

export function missing(name: string): never {
  throw requestMalformed(`${name} is missing`)
}
