import { BrokerError } from '../domain/broker-error.ts'
import { seconds } from '../domain/time.ts'
import type { HttpClient } from '../ports/http-client.ts'

const timeoutMs = 5_000
const maxBytes = 256 * 1024

interface FetchOptions {
  readonly body?: URLSearchParams | undefined
  readonly headers: Record<string, string>
  readonly method: 'GET' | 'POST'
}

/** `fetch` as oauth4webapi wants it, by our own client: with a deadline, a size cap and no redirects. */
export function fetchBy(http: HttpClient) {
  return async (url: string, { method, headers, body }: FetchOptions): Promise<Response> => {
    const text = body === undefined ? {} : { body: body.toString() }
    const result = await http({ method, url, headers, ...text, timeoutMs, maxBytes })
    if (result.kind === 'failure')
      throw new BrokerError('upstream_unavailable', {
        reason: `${new URL(url).origin} gave no answer: ${result.cause}: ${result.detail}`,
        retryAfter: seconds(30),
      })
    const kept = ['content-type', 'www-authenticate'].flatMap((name): [string, string][] => {
      const value = result.header(name)
      return value === undefined ? [] : [[name, value]]
    })
    return new Response(result.status === 204 ? null : result.body, { status: result.status, headers: kept })
  }
}
