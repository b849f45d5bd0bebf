import { notImplemented, Refusal, type Received } from './reply.ts'
import { refuse } from './refusals.ts'

export type Form = ReadonlyMap<string, string>

/**
 * The parameters of a form body, or a refusal: another content type and a repeated parameter are
 * `invalid_request`. Google also reads the query string; a broker must never put secrets there,
 * so the stand-in answers 501 to it.
 */
export function readForm(received: Received): Form {
  if (received.query.size > 0) throw new Refusal(notImplemented('parameters in the query string'))
  if (mediaType(received) !== 'application/x-www-form-urlencoded') return refuse('invalid_request')
  const form = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(received.body)) {
    if (form.has(name)) {
      // MEM
      refuse('invalid_request', `OAuth 2 parameters can only have a single value: ${name}`)
    }
    form.set(name, value)
  }
  return form
}

/** A parameter that must be there and not be empty. */
export function requiredParameter(form: Form, name: string): string {
  const value = form.get(name)
  if (value === undefined || value === '') {
    return refuse('invalid_request', `Missing required parameter: ${name}`) // MEM
  }
  return value
}

export function mediaType(received: Received): string {
  return (received.contentType.split(';')[0] ?? '').trim().toLowerCase()
}
