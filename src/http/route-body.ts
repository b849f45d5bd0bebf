import * as z from 'zod/mini'

import { requestMalformed } from '../domain/broker-error.ts'
import { parseStrictJsonObject } from '../domain/strict-json.ts'
import { mediaType } from './media-type.ts'
import { textOf, type RequestBody } from './read-body.ts'
import { faultOf } from './schema-fault.ts'

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

const policyTypes: readonly string[] = [
  'application/yaml',
  'application/x-yaml',
  'text/yaml',
  'application/json',
]

/** A policy document's text, unread: JSON is YAML too. */
export const policyText: BodyOf<string> = {
  types: policyTypes,
  schema: z.string(),
  isNone: false,
  parse: (message) => textIn(message, policyTypes),
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
