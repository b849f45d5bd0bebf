import { parseJson } from '../domain/json.ts'
import { createFault } from './fault.ts'

/** What came back, parsed no further than JSON. */
export interface Received {
  readonly status: number
  readonly headers: Headers
  /** `undefined`: no body, or none that is JSON. */
  readonly document: unknown
  readonly text: string
  readonly requestId: string | undefined
  readonly durationMs: number
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | URLSearchParams
}

/** A rotation proves the new key before it answers, which takes up to a minute and a half. */
const timeoutMs = 120_000

/** One request, once: nothing is tried again behind the user's back. Throws `unreachable` when nobody answers. */
export async function send(url: string, sent: Sent = {}): Promise<Received> {
  const startedMs = performance.now()
  try {
    const response = await fetch(url, {
      ...sent,
      // A broker redirects nowhere, and a JWT goes where it was meant to go.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      document: parseJson(text),
      text,
      requestId: response.headers.get('x-request-id') ?? undefined,
      durationMs: performance.now() - startedMs,
    }
  } catch (error) {
    throw createFault('unreachable', `no broker answers at ${new URL(url).origin}: ${causeOf(error)}`, {
      hints: [
        'Is the URL right? Give it with --url or in DOWNSCOPE_URL.',
        'downscope dev starts a broker on this machine.',
      ],
    })
  }
}

/** fetch itself only says that it failed; what of is in the cause. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it failed'
  if (error.name === 'TimeoutError') return `nothing came within ${timeoutMs / 1000} seconds`
  const { cause } = error
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  switch (code) {
    case 'ECONNREFUSED':
      return 'the connection is refused'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no host of that name'
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return 'the connection broke off'
    default:
      return cause instanceof Error ? cause.message : error.message
  }
}
