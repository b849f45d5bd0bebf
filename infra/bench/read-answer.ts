export type Answer =
  /** Not all of it is here yet. */
  | { readonly kind: 'partial' }
  | { readonly kind: 'token'; readonly body: string }
  | { readonly kind: 'another status' | 'no length' | 'too long' | 'no token' }

/** What the text of one HTTP/1.1 answer is, as far as it has come. Wants a Content-Length, as all servers here send. */
export function readAnswer(text: string): Answer {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return { kind: 'partial' }
  if (!text.startsWith('HTTP/1.1 200 ')) return { kind: 'another status' }
  const length = /\r\ncontent-length: *(\d+)\r/i.exec(text.slice(0, headEnd + 1))?.[1]
  if (length === undefined) return { kind: 'no length' }
  const bodyStart = headEnd + 4
  const end = bodyStart + Number(length)
  if (text.length < end) return { kind: 'partial' }
  if (text.length > end) return { kind: 'too long' }
  const body = text.slice(bodyStart)
  return body.includes('"access_token":"') ? { kind: 'token', body } : { kind: 'no token' }
}
