import type { HttpClient, HttpRequest, HttpResult } from '../../src/ports/http-client.ts'

export type Route = (request: HttpRequest) => HttpResult | Promise<HttpResult>

export interface RoutedHttp {
  readonly http: HttpClient
  /** What went out, oldest first. */
  readonly requests: readonly HttpRequest[]
  /** Sets or replaces what an address answers. */
  route(url: string, route: Route): void
}

/** An HTTP client without a network: an unknown address answers 501, a body over the cap is a failure. */
export function createRoutedHttp(): RoutedHttp {
  const routes = new Map<string, Route>()
  const requests: HttpRequest[] = []
  return {
    requests,
    route: (url, route) => void routes.set(url, route),
    http: async (request) => {
      requests.push(request)
      const result = await (routes.get(request.url) ?? (() => answer('no such route', 501)))(request)
      if (result.kind === 'failure') return result
      if (result.status >= 300 && result.status < 400) return failure('redirect')
      return new TextEncoder().encode(result.body).length > request.maxBytes ? failure('too_large') : result
    },
  }
}

/** Text as it is, anything else as JSON; the names of headers in small letters. */
export function answer(
  body: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): HttpResult {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { kind: 'answer', status, header: (name) => headers[name], body: text }
}

export function failure(cause: 'timeout' | 'network' | 'too_large' | 'redirect'): HttpResult {
  return { kind: 'failure', cause, detail: 'as the test wants it' }
}
