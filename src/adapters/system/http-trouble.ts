import type { HttpFailure, HttpRequest } from '../../ports/http-client.ts'

/** Method, origin and path: a query may hold secrets, and so may the part before an `@`. */
export function describeRequest({ method, url }: HttpRequest): string | undefined {
  const parsed = URL.parse(url)
  if (parsed?.protocol !== 'https:' && parsed?.protocol !== 'http:') return undefined
  return `${method} ${parsed.origin}${parsed.pathname}`
}

/** RFC 9110 §15.4: whoever is sent elsewhere asks nobody there. 304 has no body and sends nobody anywhere. */
export function isRedirect(status: number): boolean {
  return status >= 300 && status < 400 && status !== 304
}

export interface Trouble {
  readonly error: unknown
  readonly where: string
  readonly isLate: boolean
  readonly timeoutMs: number
  readonly isUnsent?: boolean
}

/** What an exchange that threw comes to. Only codes and names are told: messages quote header values and addresses. */
export function judgeTrouble({ error, where, isLate, timeoutMs, isUnsent = false }: Trouble): HttpFailure {
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
