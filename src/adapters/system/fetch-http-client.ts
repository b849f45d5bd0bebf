import type { HttpAnswer, HttpClient, HttpRequest, HttpResult, HttpFailure } from '../../ports/http-client.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'

/** A timer that is later than this was held up: the process was paused, or a turn of its loop took long. */
const heldUpMs = 250
/** For what came meanwhile, and for what the network sends again after a laptop's lid was closed. */
const secondLookMs = 1_000

/**
 * Calls `over` once `ms` have passed, unless it is stopped before. A timer that is due comes before the answer that
 * lies in the socket, so the sockets are looked at once more first: for one turn of the event loop, and for a second
 * when the timer itself is late. Returns how to stop it.
 */
export function startDeadline(ms: number, over: () => void): () => void {
  const dueMs = performance.now() + ms
  const look = (): void => {
    const isHeldUp = performance.now() - dueMs > heldUpMs
    timer = setTimeout(over, isHeldUp ? secondLookMs : 0)
  }
  let timer = setTimeout(look, ms)
  return () => clearTimeout(timer)
}

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
    ...omitUndefined({ body: request.body }),
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

/** Method, origin and path, of a webhook the host alone: the rest may hold secrets. */
export function describeRequest({ method, url, webhook }: HttpRequest): string | undefined {
  const parsed = URL.parse(url)
  if (parsed?.protocol !== 'https:' && parsed?.protocol !== 'http:') return undefined
  if (webhook !== undefined) return `${method} ${parsed.host}`
  return `${method} ${parsed.origin}${parsed.pathname}`
}

/** RFC 9110 §15.4: whoever is sent elsewhere asks nobody there. 304 has no body and sends nobody anywhere. */
export function isRedirect(status: number): boolean {
  return status >= 300 && status < 400 && status !== 304
}

export interface HttpTrouble {
  readonly error: unknown
  readonly where: string
  readonly isLate: boolean
  readonly timeoutMs: number
  readonly isUnsent?: boolean
}

/** What an exchange that threw comes to. Only codes and names are told: messages quote header values and addresses. */
export function judgeTrouble({
  error,
  where,
  isLate,
  timeoutMs,
  isUnsent = false,
}: HttpTrouble): HttpFailure {
  const unsent = isUnsent ? ({ isUnsent } as const) : {}
  if (isLate)
    return { ...httpFailure('timeout', `${where}: no whole answer within ${timeoutMs} ms`), ...unsent }
  const code = codeOf(error)
  const cause = /TIMEOUT|TIMEDOUT/.test(code) ? 'timeout' : 'network'
  return { ...httpFailure(cause, `${where}: ${code}`), ...unsent }
}

/** The first code among an error and its causes, such as ECONNREFUSED; without one, the error's kind. */
function codeOf(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(at.code)) return at.code
  }
  return error instanceof TypeError ? 'TypeError' : 'failed'
}

export function httpFailure(cause: HttpFailure['cause'], detail: string): HttpFailure {
  return { kind: 'failure', cause, detail }
}
