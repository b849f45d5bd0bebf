import type { HttpAnswer, HttpClient, HttpFailure, HttpRequest, HttpResult } from '../../ports/http-client.ts'

/**
 * Outbound HTTP by the platform's `fetch`, in Node and in workerd. The deadline runs from the call to the body's
 * last octet; a body that grows beyond its cap, compressed or not, is dropped together with its connection.
 */
export function createHttpClient(): HttpClient {
  return async (request) => {
    const where = describe(request)
    if (where === undefined)
      return failure('network', `${request.method}: the address is no http or https URL`)
    const aborter = new AbortController()
    let isLate = false
    // Not AbortSignal.timeout: its timer would stay until the end after each early answer.
    const timer = setTimeout(() => {
      isLate = true
      aborter.abort()
    }, request.timeoutMs)
    try {
      const result = await exchange(request, where, aborter.signal)
      if (result.kind === 'failure') aborter.abort()
      return result
    } catch (error) {
      aborter.abort()
      return judge({ error, where, isLate, timeoutMs: request.timeoutMs })
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Method, origin and path: a query may hold secrets, and so may the part before an `@`. */
function describe({ method, url }: HttpRequest): string | undefined {
  const parsed = URL.parse(url)
  if (parsed?.protocol !== 'https:' && parsed?.protocol !== 'http:') return undefined
  return `${method} ${parsed.origin}${parsed.pathname}`
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
  if (type === 'opaqueredirect' || (status >= 300 && status < 400 && status !== 304))
    return failure('redirect', `${where}: answered with redirect ${status}`)
  const body = await readBody(response.body, request.maxBytes)
  if (body === undefined) return failure('too_large', `${where}: more than ${request.maxBytes} bytes`)
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

interface Trouble {
  readonly error: unknown
  readonly where: string
  readonly isLate: boolean
  readonly timeoutMs: number
}

function judge({ error, where, isLate, timeoutMs }: Trouble): HttpFailure {
  if (isLate) return failure('timeout', `${where}: no whole answer within ${timeoutMs} ms`)
  // Only codes and names: messages of fetch quote header values and addresses.
  const code = codeOf(error)
  return failure(/TIMEOUT|TIMEDOUT/.test(code) ? 'timeout' : 'network', `${where}: ${code}`)
}

/** The first code among an error and its causes, such as ECONNREFUSED; without one, the error's kind. */
function codeOf(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(at.code)) return at.code
  }
  return error instanceof TypeError ? 'TypeError' : 'failed'
}

function failure(cause: HttpFailure['cause'], detail: string): HttpFailure {
  return { kind: 'failure', cause, detail }
}
