import { requestMalformed } from '../domain/broker-error.ts'
import { Secret } from '../domain/secret.ts'
import { mediaType } from './read-body.ts'

export interface FormMessage {
  /** The header as sent. */
  readonly contentType: string | null
  readonly text: string
}

/** Parameters by name; empty ones are left out. */
export type Form = ReadonlyMap<string, string>

/** Far more than any request of ours has; each one costs the decoder two calls, whatever is in it. */
const parametersMax = 100

/**
 * The parameters of a form-encoded body, as URLSearchParams reads them, in time linear in its length. Throws
 * `request_malformed`, also for more than 100 of them. Source: RFC 6749 §3.2 and appendix B.
 */
export function parseForm({ contentType, text }: FormMessage): Form {
  if (mediaType(contentType) !== 'application/x-www-form-urlencoded')
    throw requestMalformed('the Content-Type must be application/x-www-form-urlencoded')
  refuseTooMany(text)
  const seen = new Set<string>()
  const form = new Map<string, string>()
  // The "&" keeps a leading "?", which URLSearchParams would drop. Node decodes a space ten times faster than a "+".
  for (const [name, value] of new URLSearchParams(`&${text.replaceAll('+', ' ')}`)) {
    // RFC 6749 §3.2: a repeated parameter is malformed, whatever its name, and one without a value is omitted.
    if (seen.has(name)) throw requestMalformed('a parameter is repeated')
    seen.add(name)
    if (value !== '') form.set(name, value)
  }
  return form
}

function refuseTooMany(text: string): void {
  let count = 0
  for (const _ of text.matchAll(/[^&]+/g)) {
    count += 1
    if (count > parametersMax) throw requestMalformed(`there are more than ${parametersMax} parameters`)
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
