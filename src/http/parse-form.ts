import { requestMalformed } from '../domain/broker-error.ts'
import { Secret } from '../domain/secret.ts'
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
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const end = pair.indexOf('=')
    const name = decodePart(end === -1 ? pair : pair.slice(0, end))
    // RFC 6749 §3.2: a repeated parameter is malformed, whatever its name, and one without a value is omitted.
    if (seen.has(name)) throw requestMalformed('a parameter is repeated')
    seen.add(name)
    if (end !== -1 && end < pair.length - 1) form.set(name, decodePart(pair.slice(end + 1)))
  }
  return form
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

/** Google's longest are those of STS (docs/google.md §2.1). */
const tokenCharsMax = 12_288

/** What RFC 7009 and RFC 7662 call `token`. Throws `request_malformed`. */
export function tokenIn(form: Form): Secret {
  const token = form.get('token') ?? missing('token')
  if (token.length > tokenCharsMax) throw requestMalformed('the token is too long')
  return new Secret(token)
}

export function missing(name: string): never {
  throw requestMalformed(`${name} is missing`)
}
