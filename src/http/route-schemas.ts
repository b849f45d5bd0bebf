import { emptyAnswer, jsonAnswer } from './answers.ts'
import * as z from 'zod/mini'
import { requestMalformed } from '../domain/broker-error.ts'
import { parseStrictJsonObject } from '../domain/json.ts'
import { mediaType, textOf, type RequestBody } from './parse-form.ts'
import { Secret } from '../domain/secret.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** What a route answers when it went well. */
export interface AnswerOf<Document> {
  readonly status: 200 | 201 | 204
  /** Absent: no body. */
  readonly write?: (document: Document) => string
  /** Absent: JSON. */
  readonly type?: typeof jsonLinesType
}

/** A JSON document a line (https://jsonlines.org). */
export const jsonLinesType = 'application/jsonl'

export interface Reply<Document> {
  readonly document: Document
  /** The URL of what was made. */
  readonly location?: string
  /** Names what is shown, as `If-Match` wants it. */
  readonly revision?: string
}

/** A route's document has a schema in `infra/docs/openapi/admin-documents.ts`. */
export function shows<Document>(): AnswerOf<Document> {
  return { status: 200, write: JSON.stringify }
}

export function creates<Document>(): AnswerOf<Document> {
  return { status: 201, write: JSON.stringify }
}

/** The document is such lines already. */
export const showsLines: AnswerOf<string> = { status: 200, write: (text) => text, type: jsonLinesType }

export const showsNothing: AnswerOf<undefined> = { status: 204 }

export function render<Document>(
  { status, write, type }: AnswerOf<Document>,
  { document, location, revision }: Reply<Document>,
  requestId: string,
): Response {
  const headers = {
    ...omitUndefined({ Location: location, 'Content-Type': type }),
    ...(revision !== undefined && { ETag: `"${encodeURIComponent(revision)}"` }),
  }
  if (write === undefined) return emptyAnswer({ status, requestId, headers })
  return jsonAnswer({ status, text: write(document), requestId, headers })
}

/** A message's parts that bodies are parsed from. */
export interface AdminMessage {
  readonly contentType: string | null
  readonly body: RequestBody
}

/** How a route reads its body. */
export interface BodyOf<T> {
  /** The media types it takes, the usual one first. */
  readonly types: readonly string[]
  readonly schema?: z.ZodMiniType
  /** Whether there is none, and what comes all the same is not read. */
  readonly isNone: boolean
  readonly bytesMax?: number
  /** Throws `request_malformed` and `request_too_large`; no fault quotes the body, which may hold a secret (P23). */
  readonly parse: (message: AdminMessage) => T
}

export const noBody: BodyOf<undefined> = { types: [], isNone: true, parse: () => undefined }

/** A JSON object as the schema wants it, which is a strict one wherever a forgotten member would be missed. */
export function jsonBody<Schema extends z.ZodMiniObject>(schema: Schema): BodyOf<z.output<Schema>> {
  return {
    types: ['application/json'],
    schema,
    isNone: false,
    parse: (message) => {
      const text = textIn(message, ['application/json'])
      const parsed = schema.safeParse(parseObject(text))
      if (!parsed.success)
        throw requestMalformed(faultOf(parsed.error, 'the body', Object.keys(schema.shape)))
      return parsed.data
    },
  }
}

/** What the store keeps of a policy: a document of Firestore has at most 1 MiB. */
const policyBytesMax = 1_000_000

/**
 * A JSON object as one of two strict schemas wants it: the first one where it has that member, which is then the only
 * one, else the second one.
 */
export function eitherBody<One extends z.ZodMiniObject, Other extends z.ZodMiniObject>(
  member: string,
  [one, other]: readonly [One, Other],
): BodyOf<z.output<One> | z.output<Other>> {
  const [first, second] = [jsonBody(one), jsonBody(other)]
  return {
    ...first,
    schema: z.xor([one, other]),
    parse: (message) => {
      const isOne = Object.hasOwn(parseObject(textIn(message, first.types)), member)
      return isOne ? first.parse(message) : second.parse(message)
    },
  }
}

const policyTypes: readonly string[] = [
  'application/yaml',
  'application/x-yaml',
  'text/yaml',
  'application/json',
]

/** A policy document's text, unread: JSON is YAML too. */
export const policyText: BodyOf<string> = {
  types: policyTypes,
  bytesMax: policyBytesMax,
  schema: z.string(),
  isNone: false,
  parse: (message) => textIn(message, policyTypes),
}

export function jsonLines(bytesMax: number): BodyOf<string> {
  const types = [jsonLinesType] as const
  return { types, bytesMax, schema: z.string(), isNone: false, parse: (message) => textIn(message, types) }
}

function textIn({ contentType, body }: AdminMessage, types: readonly string[]): string {
  if (!types.includes(mediaType(contentType) ?? ''))
    throw requestMalformed(`the Content-Type must be ${types.join(' or ')}`)
  return textOf(body)
}

function parseObject(text: string): object {
  const judged = parseStrictJsonObject(text)
  if (!judged.ok) throw requestMalformed(`the body ${judged.fault}`)
  return judged.value
}

/** How a route reads its query string; parameters it does not know mean nothing. */
export interface QueryOf<T> {
  readonly schema?: z.ZodMiniObject<Readonly<Record<string, z.ZodMiniType>>>
  /** Throws `request_malformed`. */
  readonly parse: (url: string) => T
}

export const noQuery: QueryOf<undefined> = { parse: () => undefined }

export function queryOf<Schema extends z.ZodMiniObject<Readonly<Record<string, z.ZodMiniType>>>>(
  schema: Schema,
): QueryOf<z.output<Schema>> {
  const names = Object.keys(schema.shape)
  return {
    schema,
    parse: (url) => {
      const query = new URL(url).searchParams
      if (names.some((name) => query.getAll(name).length > 1))
        throw requestMalformed('a parameter is repeated')
      const given = names.filter((name) => query.has(name)).map((name) => [name, query.get(name)])
      const parsed = schema.safeParse(Object.fromEntries(given))
      if (!parsed.success) throw requestMalformed(faultOf(parsed.error, 'the query'))
      return parsed.data
    },
  }
}

type Issue = z.core.$ZodIssue

/**
 * The first fault of a body or query in words, for whoever sent it: it names the member and never a value, nor a name
 * that we do not know (P23). `members` are those that the whole may have.
 */
function faultOf({ issues }: z.core.$ZodError, whole: string, members: readonly string[] = []): string {
  const [issue] = issues
  if (issue === undefined) return `${whole} is not valid`
  const place = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys' && place === '')
    return `${whole} may have only the members ${members.join(', ')}`
  return `${place === '' ? whole : place} ${complaint(issue)}`
}

function complaint(issue: Issue): string {
  switch (issue.code) {
    case 'unrecognized_keys':
      return 'has an unknown member'
    case 'invalid_type':
      return `is missing, or no ${issue.expected}`
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`
    case 'invalid_format':
      return issue.pattern === undefined ? 'is not valid' : `must match ${issue.pattern}`
    case 'too_small':
      return `must be at least ${String(issue.minimum)}`
    case 'too_big':
      return `must be at most ${String(issue.maximum)}`
    case 'custom':
      return issue.message
    default:
      return 'is not valid'
  }
}

/** RFC 6750 §2.1: the token of a Bearer header; `undefined` for any other header. */
export function parseBearer(authorization: string | null): Secret | undefined {
  const token = /^bearer +(?<token>[\w\-.~+/]+=*)$/i.exec(authorization ?? '')?.groups?.['token']
  return token === undefined ? undefined : new Secret(token)
}

/**
 * One entity tag of ours. RFC 9110 §13.1.1 compares strongly and allows a list and `*`; what is changed here was seen
 * before.
 */
export const ifMatchSchema = z.string().check(z.regex(/^"(?:[!#$&-~]|%[0-9A-Fa-f]{2})+"$/))

/** The revision in an entity tag; `undefined` without the header. Throws `request_malformed`. */
export function parseIfMatch(header: string | null): string | undefined {
  if (header === null) return undefined
  const tag = header.trim()
  if (!ifMatchSchema.safeParse(tag).success)
    throw requestMalformed('If-Match must be one strong entity tag, as GET gave it')
  try {
    return decodeURIComponent(tag.slice(1, -1))
  } catch {
    // None that was ever given, so that nothing is at it.
    return tag
  }
}

/** What may be a key of the document store: wider than today's names, so that whatever is stored can be reached. */
export const storedNamePattern = '[A-Za-z0-9_.@-]{1,200}'
export const storedName = new RegExp(`^(?:${storedNamePattern})$`)
