import { requestMalformed } from '../domain/broker-error.ts'
import { credentialName } from '../domain/credential.ts'
import { isMembers, type Members } from '../domain/json-object.ts'
import { Secret } from '../domain/secret.ts'
import type { Enrolment } from '../lifecycle/administer-credentials.ts'
import { mediaType } from './media-type.ts'
import { textOf, type RequestBody } from './read-body.ts'

/** RFC 6750 §2.1: the token of a Bearer header; `undefined` for any other header. */
export function parseBearer(authorization: string | null): Secret | undefined {
  const token = /^bearer +(?<token>[\w\-.~+/]+=*)$/i.exec(authorization ?? '')?.groups?.['token']
  return token === undefined ? undefined : new Secret(token)
}

export interface Page {
  readonly after?: string
  readonly limit: number
}

const pageLimitDefault = 100
const pageLimitMax = 500

/** `?after=NAME&limit=N`; other parameters mean nothing. Throws `request_malformed`. */
export function parsePage(url: string): Page {
  const query = new URL(url).searchParams
  if (query.getAll('after').length > 1 || query.getAll('limit').length > 1)
    throw requestMalformed('a parameter is repeated')
  const after = query.get('after') ?? ''
  if (after !== '' && !storedName.test(after))
    throw requestMalformed('after must be the name of a credential')
  const limit = query.get('limit') ?? ''
  if (limit !== '' && !/^[1-9]\d{0,2}$/.test(limit))
    throw requestMalformed(`limit must be 1 to ${pageLimitMax}`)
  if (Number(limit) > pageLimitMax) throw requestMalformed(`limit must be 1 to ${pageLimitMax}`)
  return {
    ...(after === '' ? {} : { after }),
    limit: limit === '' ? pageLimitDefault : Number(limit),
  }
}

/** A message's parts that the bodies of the admin API are parsed from. */
export interface AdminMessage {
  readonly contentType: string | null
  readonly body: RequestBody
}

/**
 * The members of an enrolment, of which only the name is judged here: it goes into the audit record. Throws
 * `request_malformed` and `request_too_large`; no fault quotes the body, which holds a secret.
 */
export function parseEnrolment({ contentType, body }: AdminMessage): Enrolment {
  if (mediaType(contentType) !== 'application/json')
    throw requestMalformed('the Content-Type must be application/json')
  const document = parseObject(textOf(body))
  const unknown = Object.keys(document).some((member) => !enrolmentMembers.has(member))
  if (unknown) throw requestMalformed('the body may have the members name, secret, scopes and upstream only')
  const { name, secret, scopes, upstream } = document
  if (typeof name !== 'string' || !credentialName.test(name))
    throw requestMalformed(`name must match ${credentialName.source}`)
  if (secret === undefined) throw requestMalformed('secret is missing')
  return {
    name,
    secret,
    ...(scopes === undefined ? {} : { scopes }),
    ...(upstream === undefined ? {} : { upstream }),
  }
}

const policyTypes: ReadonlySet<string> = new Set([
  'application/yaml',
  'application/x-yaml',
  'text/yaml',
  'application/json',
])

/** A policy document's text, unread: JSON is YAML too. Throws `request_malformed` and `request_too_large`. */
export function parsePolicyText({ contentType, body }: AdminMessage): string {
  if (!policyTypes.has(mediaType(contentType) ?? ''))
    throw requestMalformed('the Content-Type must be application/yaml or application/json')
  return textOf(body)
}

/** A revision as an entity tag and back; `undefined` without the header. Throws `request_malformed`. */
export function parseIfMatch(header: string | null): string | undefined {
  if (header === null) return undefined
  // RFC 9110 §13.1.1 compares strongly and allows a list and `*`; a policy is replaced knowing which one it was.
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
const storedName = new RegExp(`^(?:${storedNamePattern})$`)
const enrolmentMembers: ReadonlySet<string> = new Set(['name', 'secret', 'scopes', 'upstream'])

function parseObject(text: string): Members {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    throw requestMalformed('the body is not JSON')
  }
  if (!isMembers(document)) throw requestMalformed('the body must be a JSON object')
  return document
}
