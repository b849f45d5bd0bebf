import { requestMalformed } from '../domain/broker-error.ts'
import { Secret } from '../domain/secret.ts'

/** RFC 6750 §2.1: the token of a Bearer header; `undefined` for any other header. */
export function parseBearer(authorization: string | null): Secret | undefined {
  const token = /^bearer +(?<token>[\w\-.~+/]+=*)$/i.exec(authorization ?? '')?.groups?.['token']
  return token === undefined ? undefined : new Secret(token)
}

/** The revision in an entity tag; `undefined` without the header. Throws `request_malformed`. */
export function parseIfMatch(header: string | null): string | undefined {
  if (header === null) return undefined
  // RFC 9110 §13.1.1 compares strongly and allows a list and `*`; what is changed here was seen before.
  const tag = /^"(?<tag>[!#-~]*)"$/.exec(header.trim())?.groups?.['tag']
  if (tag === undefined) throw requestMalformed('If-Match must be one strong entity tag, as GET gave it')
  try {
    return decodeURIComponent(tag)
  } catch {
    throw requestMalformed('If-Match must be one strong entity tag, as GET gave it')
  }
}

export function entityTag(revision: string): string {
  return `"${encodeURIComponent(revision)}"`
}

/** What may be a key of the document store: wider than today's names, so that whatever is stored can be reached. */
export const storedNamePattern = '[A-Za-z0-9_.@-]{1,200}'
export const storedName = new RegExp(`^(?:${storedNamePattern})$`)
