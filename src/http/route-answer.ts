import { emptyAnswer, jsonAnswer } from './json-answer.ts'
import { entityTag } from './parse-admin-request.ts'

/** What a route answers when it went well. */
export interface AnswerOf<Document> {
  readonly status: 200 | 201 | 204
  /** Absent: no body. */
  readonly write?: (document: Document) => string
}

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

export const showsNothing: AnswerOf<undefined> = { status: 204 }

export function render<Document>(
  { status, write }: AnswerOf<Document>,
  { document, location, revision }: Reply<Document>,
  requestId: string,
): Response {
  const headers = {
    ...(location === undefined ? {} : { Location: location }),
    ...(revision === undefined ? {} : { ETag: entityTag(revision) }),
  }
  if (write === undefined) return emptyAnswer({ status, requestId, headers })
  return jsonAnswer({ status, text: write(document), requestId, headers })
}
