import { isLoopback } from '../domain/loopback.ts'
import { right, wrong, type Reading } from './setting.ts'

/**
 * The broker's own URL, kept to the octet: callers put it into `aud`, where it is compared as a string. So it must
 * come in normal form and without a slash at its end, and is never rewritten here.
 */
export function parseIssuer(text: string): Reading<string> {
  const url = parseUrl(text)
  if (!url.ok) return url
  const { origin, pathname, href } = url.value
  if (text.endsWith('/')) return wrong('must not end in "/": it is compared as a string')
  const normal = pathname === '/' ? origin : href
  return normal === text
    ? right(text)
    : wrong('must be in normal form: lower-case scheme and host, no default port, nothing left to encode')
}

/** The URL by which an OpenID Connect issuer calls itself, kept to the octet: it is compared as a string. */
export function parseIdentifierUrl(text: string): Reading<string> {
  const url = parseUrl(text)
  return url.ok ? right(text) : url
}

/** The URL of one endpoint, used as it is. */
export function parseEndpoint(text: string): Reading<string> {
  const url = parseUrl(text)
  return url.ok ? right(url.value.href) : url
}

/** The start of URLs, to which `/v1/…` is added: without a slash at its end. */
export function parseBaseUrl(text: string): Reading<string> {
  const url = parseUrl(text)
  return url.ok ? right(url.value.href.replace(/\/+$/, '')) : url
}

function parseUrl(text: string): Reading<URL> {
  const url = URL.parse(text)
  if (url === null) return wrong('must be an absolute URL')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname)))
    return wrong('must be https; http only on loopback (127.0.0.0/8, [::1], localhost)')
  if (url.username !== '' || url.password !== '') return wrong('must not hold a user or password')
  if (/[?#]/.test(text)) return wrong('must not have a query or fragment')
  return right(url)
}
