/** A request as it came, before anybody looks at what it asks for. */
export interface ArrivedRequest {
  readonly method: string
  /** As it stands in the request line. */
  readonly target: string
  readonly httpVersion: string
  /** Names and values in turn, as `rawHeaders` of Node. */
  readonly rawHeaders: readonly string[]
}

export type Judgement =
  | { readonly ok: true; readonly path: string; readonly query: URLSearchParams }
  | { readonly ok: false; readonly status: 400 | 403; readonly reason: string }

/** Headers of whoever passes on what somebody else asked; no client of a metadata server sends one. */
const forwardingHeader = /^(?:forwarded|via|x-forwarded(?:-.+)?|x-real-ip)$/

/**
 * Keeps out pages of a browser (DNS rebinding, cross-site requests), proxies that were talked into a request (SSRF),
 * and whatever two readers could understand in two ways. Enforces, in order: HTTP/1.1, GET or HEAD, no body, one known
 * Host, nothing forwarded, no browser, `Metadata-Flavor: Google`, a canonical path (DESIGN §3.6, promise P33).
 */
export function judgeRequest(request: ArrivedRequest, hosts: ReadonlySet<string>): Judgement {
  const { method, target, httpVersion } = request
  const headers = headersOf(request.rawHeaders)
  if (httpVersion !== '1.1') return bad(`HTTP/${httpVersion} is not spoken here`)
  if (method !== 'GET' && method !== 'HEAD') return bad('only GET and HEAD are answered')
  if (headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0')
    return bad('a body is not expected')
  const host = headers.get('host')
  if (host === undefined || !hosts.has(host.toLowerCase())) return forbidden('the Host is not this agent')
  for (const name of headers.keys())
    if (forwardingHeader.test(name)) return forbidden(`${name} is not accepted: nothing is forwarded here`)
  if (headers.has('origin')) return forbidden('a browser has no business here: Origin')
  if ((headers.get('sec-fetch-site') ?? 'none') !== 'none')
    return forbidden('a browser has no business here: Sec-Fetch-Site')
  if (headers.get('metadata-flavor') !== 'Google') return forbidden('Missing Metadata-Flavor:Google header.')
  const [path = '', ...rest] = target.split('?')
  if (!isCanonical(path)) return bad('the path is not canonical')
  return { ok: true, path, query: new URLSearchParams(rest.join('?')) }
}

/** By name in lower case; one that is repeated has both values, as no single value looks. */
function headersOf(raw: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    const before = headers.get(name)
    headers.set(name, before === undefined ? (raw[index + 1] ?? '') : `${before}, ${raw[index + 1]}`)
  }
  return headers
}

/** No empty or dotted segment, nothing encoded, nothing that another reader could take for a separator. */
function isCanonical(path: string): boolean {
  if (!/^\/[\w.@/-]*$/.test(path)) return false
  return !path.includes('//') && !path.split('/').some((segment) => /^\.+$/.test(segment))
}

function bad(reason: string): Judgement {
  return { ok: false, status: 400, reason }
}

function forbidden(reason: string): Judgement {
  return { ok: false, status: 403, reason }
}
