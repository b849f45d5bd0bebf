import type * as z from 'zod/mini'

import { emptyAnswer, jsonAnswer } from './json-answer.ts'
import { entityTag } from './parse-admin-request.ts'

/** What a route answers when it went well. */
export interface AnswerOf<Document> {
  readonly status: 200 | 201 | 204
  /** Absent: no body. */
  readonly schema?: z.ZodMiniType<unknown, Document>
}

export interface Reply<Document> {
  readonly document: Document
  /** The URL of what was made. */
  readonly location?: string
  /** Names what is shown, as `If-Match` wants it. */
  readonly revision?: string
}

export function shows<Document>(schema: z.ZodMiniType<unknown, Document>): AnswerOf<Document> {
  return { status: 200, schema }
}

export function creates<Document>(schema: z.ZodMiniType<unknown, Document>): AnswerOf<Document> {
  return { status: 201, schema }
}

export const showsNothing: AnswerOf<undefined> = { status: 204 }

export function render<Document>(
  { status, schema }: AnswerOf<Document>,
  { document, location, revision }: Reply<Document>,
  requestId: string,
): Response {
  const headers = {
    ...(location === undefined ? {} : { Location: location }),
    ...(revision === undefined ? {} : { ETag: entityTag(revision) }),
  }
  if (schema === undefined) return emptyAnswer({ status, requestId, headers })
  return jsonAnswer({ status, text: JSON.stringify(document), requestId, headers })
}
