import type { html } from 'hono/html'

/** What Hono's `html` template gives: text that is escaped already. */
export type Markup = ReturnType<typeof html>

export interface PageAnswer {
  readonly status?: number
  readonly requestId: string
  readonly cookies?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  /** Origins besides ours that a form of this page may be sent to (CSP `form-action`). */
  readonly formTargets?: readonly string[]
}

/** A page that nobody keeps, frames, sniffs or adds to; it has no script, so there is none to let in. */
export async function pageAnswer(page: Markup, answer: PageAnswer): Promise<Response> {
  const { status = 200, formTargets = [] } = answer
  const headers = headersOf(answer, ["'self'", ...formTargets].join(' '))
  headers.set('Content-Type', 'text/html; charset=utf-8')
  return new Response(String(await page), { status, headers })
}

/** 303: whatever came, the next request is a GET (RFC 9110 §15.4.4). */
export function redirectAnswer(to: string, answer: PageAnswer): Response {
  const headers = headersOf(answer, "'self'")
  headers.set('Location', to)
  return new Response(null, { status: 303, headers })
}

function headersOf({ requestId, cookies = [], headers = {} }: PageAnswer, formAction: string): Headers {
  const all = new Headers({
    'Cache-Control': 'no-store',
    'Content-Security-Policy':
      `default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; ` +
      `form-action ${formAction}; frame-ancestors 'none'`,
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    // With `no-referrer` browsers post `Origin: null`, and a form of ours could not be told from a foreign one.
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'X-Request-Id': requestId,
    ...headers,
  })
  for (const cookie of cookies) all.append('Set-Cookie', cookie)
  return all
}

/** A cookie that no other host can set or read, and that JavaScript cannot read (RFC 6265bis §4.1.3.2). */
export function setCookie(name: CookieName, value: string, seconds: number): string {
  return `${name}=${value}; Path=/; Max-Age=${seconds}; Secure; HttpOnly; SameSite=Lax`
}

export function clearCookie(name: CookieName): string {
  return setCookie(name, '', 0)
}

export type CookieName = `__Host-downscope_${string}`

/** `undefined` without it, and when it came twice. */
export function cookieOf(request: Request, name: CookieName): string | undefined {
  const found = (request.headers.get('cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
  return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined
}
