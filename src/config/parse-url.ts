import type { Reading } from '../domain/result.ts'
import { isLoopback } from '../domain/url.ts'
import { right, wrong } from './setting.ts'

/**
 * The broker's own URL, kept exactly as written: callers put it into `aud`, where it is compared as a string. So it must
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

/** The URL by which an OpenID Connect issuer calls itself, kept exactly as written: it is compared as a string. */
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

/** Where what must last lies. */
export type StorePlace =
  | { readonly kind: 'sqlite'; readonly path: string }
  | {
      readonly kind: 'firestore'
      /** `native` is what the runtime does best: the SDK on Node, REST on Workers. */
      readonly driver: 'native' | 'rest'
      readonly project: string
      readonly database: string
    }
  | { readonly kind: 'memory' }

/** Who holds the keys that seal the store. */
export type KeyRingPlace =
  | { readonly kind: 'local' }
  /** `projects/P/locations/L/keyRings/R/cryptoKeys/K` */
  | { readonly kind: 'gcp-kms'; readonly cryptoKey: string }

export function parseStore(text: string): Reading<StorePlace> {
  if (text === 'memory:') return right({ kind: 'memory' })
  if (text.startsWith('sqlite:')) return parseSqlite(text.slice('sqlite:'.length))
  const firestore = /^firestore(?<rest>\+rest)?:\/\/(?<project>[^/]*)(?:\/(?<database>.*))?$/s.exec(
    text,
  )?.groups
  if (firestore === undefined)
    return wrong(
      'must be sqlite:PATH, firestore://PROJECT/DATABASE, firestore+rest://PROJECT/DATABASE or memory:',
    )
  const { rest, project = '', database = '' } = firestore
  if (!/^[a-zA-Z0-9][\w.:-]{0,62}$/.test(project))
    return wrong('names no Google Cloud project after firestore://')
  if (!/^(?:|\(default\)|[a-zA-Z0-9][\w-]{0,62})$/.test(database))
    return wrong('names no Firestore database after the project')
  const driver = rest === undefined ? 'native' : 'rest'
  return right({ kind: 'firestore', driver, project, database: database === '' ? '(default)' : database })
}

/** One or several, with commas between: the first seals, all open. */
export function parseKeyRing(text: string): Reading<readonly KeyRingPlace[]> {
  const places = text.split(',').flatMap((part): readonly KeyRingPlace[] => parseKeyRingPlace(part.trim()))
  // Without a word of the text: whoever takes this for the place of the keys writes them here.
  if (places.length < text.split(',').length)
    return wrong(
      'must be local: or gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K; keys go to DOWNSCOPE_KEYS',
    )
  const names = places.map((place) => (place.kind === 'local' ? '' : place.cryptoKey))
  return new Set(names).size === names.length ? right(places) : wrong('names one of them twice')
}

function parseKeyRingPlace(text: string): readonly KeyRingPlace[] {
  if (text === 'local:') return [{ kind: 'local' }]
  const cryptoKey =
    /^gcp-kms:\/\/(projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+)$/.exec(text)?.[1]
  return cryptoKey !== undefined && /^[\w./:-]+$/.test(cryptoKey) ? [{ kind: 'gcp-kms', cryptoKey }] : []
}

export function parseHostAndPort(text: string): Reading<string> {
  const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9.-]+):(\d{1,5})$/.exec(text)?.[1])
  return port >= 1 && port <= 65_535 ? right(text) : wrong('must be HOST:PORT, without a scheme')
}

/** `HOST` or `HOST:PORT`. */
export function parseMetadataHost(text: string): Reading<string> {
  if (/^[a-zA-Z0-9.-]{1,253}$/.test(text)) return right(text)
  return parseHostAndPort(text).ok ? right(text) : wrong('must be HOST or HOST:PORT, without a scheme')
}

function parseSqlite(path: string): Reading<StorePlace> {
  if (path === '') return wrong('names no file after sqlite:')
  if (path === ':memory:') return wrong('must name a file: a store that forgets is memory:')
  if (path.startsWith('//')) return wrong('is sqlite:PATH, without "//"')
  return right({ kind: 'sqlite', path })
}
