import { requestMalformed, BrokerError } from '../domain/broker-error.ts'
import { Secret } from '../domain/secret.ts'

export interface FormMessage {
  /** The header as sent. */
  readonly contentType: string | null
  readonly text: string
}

/** Parameters by name; empty ones are left out. */
export type Form = ReadonlyMap<string, string>

/** Far more than any request of ours has; each one costs the decoder two calls, whatever is in it. */
const parametersMax = 100
const tooManyParameters = new RegExp(`^&*(?:[^&]+&+){${parametersMax}}[^&]`)

/**
 * The parameters of a form-encoded body, as URLSearchParams reads them, in time linear in its length. Throws
 * `request_malformed`, also for more than 100 of them. Source: RFC 6749 §3.2 and appendix B.
 */
export function parseForm({ contentType, text }: FormMessage): Form {
  if (mediaType(contentType) !== 'application/x-www-form-urlencoded')
    throw requestMalformed('the Content-Type must be application/x-www-form-urlencoded')
  if (tooManyParameters.test(text)) throw requestMalformed(`there are more than ${parametersMax} parameters`)
  const form = new Map<string, string>()
  // The "&" keeps a leading "?", which URLSearchParams would drop. Node decodes a space ten times faster than a "+".
  for (const [name, value] of new URLSearchParams(`&${text.replaceAll('+', ' ')}`)) {
    // RFC 6749 §3.2: a repeated parameter is malformed, whatever its name, and one without a value is omitted.
    if (form.has(name)) throw requestMalformed('a parameter is repeated')
    form.set(name, value)
  }
  for (const [name, value] of form) if (value === '') form.delete(name)
  return form
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

/** A request body that was read, or why there is none: whoever needs the text turns that into a refusal. */
export type RequestBody =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'too_large'; readonly bytesMax: number }
  | { readonly kind: 'unreadable' }

/** Of the body, as sent. */
export const bodyBytesMax = 65_536

/**
 * Never holds more than `bytesMax` and one chunk of a body, and never rejects (P24). A declared length decides before a
 * byte is read, and the server holds the sender to it; without one the bytes are counted and the stream is cancelled
 * at the cap. How long a sender may take is limited by the entry point (`requestTimeout` of node:http; Workers' own limit).
 */
export async function readBody(request: Request, bytesMax = bodyBytesMax): Promise<RequestBody> {
  const declared = declaredLength(request)
  if (declared !== undefined && declared > bytesMax) return { kind: 'too_large', bytesMax }
  try {
    if (declared === undefined) return await readCounting(request.body, bytesMax)
    const text = await request.text()
    // Characters are no more than bytes: holds also where a server does not enforce the declared length.
    return text.length > bytesMax ? { kind: 'too_large', bytesMax } : { kind: 'text', text }
  } catch {
    return { kind: 'unreadable' }
  }
}

/** Throws `request_too_large`, or `request_malformed` when the sender stopped midway. */
export function textOf(body: RequestBody): string {
  switch (body.kind) {
    case 'text':
      return body.text
    case 'too_large':
      throw new BrokerError('request_too_large', {
        reason: `the body is larger than ${body.bytesMax} bytes`,
        publicDetail: `the request body is larger than ${body.bytesMax} bytes`,
      })
    case 'unreadable':
      throw new BrokerError('request_malformed', { reason: 'the body broke off before its end' })
  }
}

/** RFC 9112 §6.3: a Content-Length beside Transfer-Encoding, or one that is no number, says nothing. */
function declaredLength({ headers }: Request): number | undefined {
  const declared = headers.get('content-length')
  if (declared === null || !/^\d{1,15}$/.test(declared) || headers.has('transfer-encoding')) return undefined
  return Number(declared)
}

async function readCounting(body: ReadableStream<Uint8Array> | null, bytesMax: number): Promise<RequestBody> {
  if (body === null) return { kind: 'text', text: '' }
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return { kind: 'text', text: text + decoder.decode() }
    bytes += value.byteLength
    if (bytes > bytesMax) {
      // Not awaited: a source that never settles its cancellation must not hold the answer back.
      reader.cancel().catch(() => undefined)
      return { kind: 'too_large', bytesMax }
    }
    text += decoder.decode(value, { stream: true })
  }
}

/** The type a Content-Type header names, in lower case and without its parameters. */
export function mediaType(header: string | null): string | undefined {
  if (header === null) return undefined
  const end = header.indexOf(';')
  return (end === -1 ? header : header.slice(0, end)).trim().toLowerCase()
}
