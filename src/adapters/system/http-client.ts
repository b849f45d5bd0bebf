import { startDeadline } from './deadline.ts'
import type { HttpAnswer, HttpClient, HttpRequest, HttpResult } from '../../ports/http-client.ts'
import { describeRequest, httpFailure, isRedirect, judgeTrouble } from './http-trouble.ts'

/**
 * Outbound HTTP by the platform's `fetch`, in Node and in workerd. The deadline runs from the call to the body's
 * last octet, and rejects
 * whatever the socket does; a body that grows beyond its cap, compressed or not, is dropped together with its connection.
 */
export function createHttpClient(): HttpClient {
  return async (request) => {
    const where = describeRequest(request)
    if (where === undefined)
      return httpFailure('network', `${request.method}: the address is no http or https URL`)
    const aborter = new AbortController()
    let isLate = false
    // Not AbortSignal.timeout: its timer would stay until the end after each early answer.
    const late = Promise.withResolvers<never>()
    const stop = startDeadline(request.timeoutMs, () => {
      isLate = true
      late.reject(new Error('late'))
    })
    try {
      const result = await Promise.race([exchange(request, where, aborter.signal), late.promise])
      if (result.kind === 'failure') aborter.abort()
      return result
    } catch (error) {
      aborter.abort()
      return judgeTrouble({ error, where, isLate, timeoutMs: request.timeoutMs })
    } finally {
      stop()
    }
  }
}

async function exchange(request: HttpRequest, where: string, signal: AbortSignal): Promise<HttpResult> {
  const response = await fetch(request.url, {
    method: request.method,
    // Answers are small: there is nothing to gain from compression, and less to inflate.
    headers: { 'accept-encoding': 'identity', ...request.headers },
    redirect: 'manual',
    signal,
    ...(request.body === undefined ? {} : { body: request.body }),
  })
  const { status, headers } = response
  // As text: the types of Workers do not know the word.
  const type: string = response.type
  if (type === 'opaqueredirect' || isRedirect(status))
    return httpFailure('redirect', `${where}: answered with redirect ${status}`)
  const body = await readBody(response.body, request.maxBytes)
  if (body === undefined) return httpFailure('too_large', `${where}: more than ${request.maxBytes} bytes`)
  return {
    kind: 'answer',
    status,
    header: (name) => headers.get(name) ?? undefined,
    body,
  } satisfies HttpAnswer
}

/** The whole body, or `undefined` as soon as it has more than `maxBytes`. */
async function readBody(stream: Response['body'], maxBytes: number): Promise<string | undefined> {
  if (stream === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  const reader: ReadableStreamDefaultReader<Uint8Array> = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    bytes += value.length
    if (bytes > maxBytes) return undefined
    text += decoder.decode(value, { stream: true })
  }
}
