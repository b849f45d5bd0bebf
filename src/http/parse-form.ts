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
  const form = new Map<string, string>()
  const empty = new Set<string>()
  let end: number
  for (let start = 0; start < text.length; start = end + 1) {
    end = endOf('&', text, start, text.length)
    if (end === start) continue
    const nameEnd = endOf('=', text, start, end)
    const name = decodePart(text.slice(start, nameEnd))
    // RFC 6749 §3.2: a repeated parameter is malformed, whatever its name, and one without a value is omitted.
    if (form.has(name) || empty.has(name)) throw requestMalformed('a parameter is repeated')
    if (nameEnd < end - 1) form.set(name, decodePart(text.slice(nameEnd + 1, end)))
    else empty.add(name)
  }
  return form
}

/** Where the next such character stands, at most at `max`. */
function endOf(character: string, text: string, start: number, max: number): number {
  const found = text.indexOf(character, start)
  return found === -1 || found > max ? max : found
}

/**
 * What URLSearchParams makes of a name or value (WHATWG URL §5.1), for a third of its price: on Workers each pair of
 * it is a call out of the engine. A test holds both to one reading.
 */
function decodePart(part: string): string {
  if (!part.includes('%') && !part.includes('+')) return part
  try {
    return decodeURIComponent(part.replaceAll('+', ' '))
  } catch {
    // Octets that are not UTF-8, or a percent sign that begins nothing: read leniently there, and rare here.
    return new URLSearchParams(`part=${part}`).get('part') ?? ''
  }
}

export function missing(name: string): never {
  throw requestMalformed(`${name} is missing`)
}
