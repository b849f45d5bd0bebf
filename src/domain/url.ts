/**
 * Whether a host is this very machine: the only one that may be spoken to without TLS. `hostname` is as the URL parser
 * left it: `127.1` and `0x7f000001` have become `127.0.0.1`. RFC 6761 §6.3, RFC 1122 §3.2.1.3, RFC 4291 §2.5.3.
 */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

/** Whether it is the URL of this very machine. */
export function isLoopbackUrl(text: string | undefined): boolean {
  const url = text === undefined ? null : URL.parse(text)
  return url !== null && isLoopback(url.hostname)
}

/** Why a text is no address to call: not https (http to this very machine excepted), or not plainly a URL. */
export function urlFault(text: string): string | undefined {
  if (/[\s\\]/.test(text) || !URL.canParse(text)) return 'must be a URL'
  const { protocol, hostname, username, password } = new URL(text)
  if (username !== '' || password !== '' || /^[a-z]+:\/\/[^/?#]*@/i.test(text))
    return 'must not hold a user name or password'
  if (protocol === 'https:' && text.startsWith('https://')) return undefined
  if (protocol === 'http:' && text.startsWith('http://') && isLoopback(hostname)) return undefined
  return 'must be an https URL'
}

/** Why a text is no issuer whose metadata could be looked for (RFC 8414 §2, OpenID Connect Discovery 1.0 §4). */
export function issuerUrlFault(text: string): string | undefined {
  return urlFault(text) ?? (/[?#]/.test(text) ? 'must have no query and no fragment' : undefined)
}

/** What the broker itself is called as an audience: `//HOST`, with its port where it has one. */
export function brokerTarget(issuer: string): string {
  return `//${new URL(issuer).host}`
}
