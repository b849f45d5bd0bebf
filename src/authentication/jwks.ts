import { fault, type Result } from '../domain/result.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { Log } from '../ports/log.ts'
import {
  type KeyUse,
  parsePublicJwk,
  type PublicJwk,
  type SigningAlgorithm,
  algorithmsFitting,
} from '../domain/jwk.ts'
import { isLoopback } from '../domain/url.ts'
import { isMembers, parseStrictJsonObject } from '../domain/json.ts'
import { importJWK, type CryptoKey, type JWK } from 'jose'

/** A key set with the text it was read from. */
export interface PublishedKeys {
  readonly text: string
  readonly set: KeySet
}

/**
 * One look at what an issuer publishes: its keys, or `undefined` when there was nothing to read. Each look leaves at
 * most one line in the log. An unchanged text gives the same set again, so that imported keys and verified
 * assertions stay, and nothing is logged a second time.
 */
export function createLoadJwks(deps: {
  readonly http: HttpClient
  readonly log: Log
}): (location: KeyLocation, last: PublishedKeys | undefined) => Promise<PublishedKeys | undefined> {
  const { http, log } = deps

  return async (location, last) => {
    const { issuer, url, use } = location
    const fetched = await fetchJwks(http, location)
    if (fetched.ok && fetched.value === last?.text) return last
    const judgement = fetched.ok ? parseJwks(fetched.value, use) : fetched
    if (!judgement.ok) {
      log('warn', 'keys of an issuer unavailable', { issuer, url, reason: judgement.fault })
      return undefined
    }
    const { text, keys, skipped } = judgement.value
    if (skipped.length > 0) log('warn', 'keys of an issuer skipped', { issuer, url, reasons: skipped })
    return { text, set: createKeySet(keys) }
  }
}

/** Where an issuer publishes its keys. */
export interface KeyLocation {
  readonly from: 'jwks_uri' | 'discovery'
  readonly url: string
  readonly issuer: string
  /** Which of the published keys count; absent, those for signatures. */
  readonly use?: KeyUse
}

/** Of each document; metadata and key set after each other leave time for the rest of a request (P20). */
export const fetchTimeoutMs = 3_000
const documentBytesMax = 65_536

/** The text of the issuer's JWK set, unread; by way of its metadata document when that is what policy names. */
async function fetchJwks(http: HttpClient, location: KeyLocation): Promise<Result<string>> {
  if (location.from === 'jwks_uri') return fetchDocument(http, location.url)
  const metadata = await fetchDocument(http, location.url)
  if (!metadata.ok) return metadata
  const judgement = parseMetadata(metadata.value, location)
  return judgement.ok ? fetchDocument(http, judgement.value) : judgement
}

// No retry: the next look is, 30 s from now, and until then the keys at hand serve.
async function fetchDocument(http: HttpClient, url: string): Promise<Result<string>> {
  if (!isFetchable(url)) return fault('the address is not https')
  const result = await http({
    method: 'GET',
    url,
    headers: { accept: 'application/json, application/jwk-set+json' },
    timeoutMs: fetchTimeoutMs,
    maxBytes: documentBytesMax,
  })
  if (result.kind === 'failure') return fault(`${result.cause}: ${result.detail}`)
  if (result.status !== 200) return fault(`status ${result.status}`)
  return { ok: true, value: result.body }
}

export interface Jwks {
  /** What it was read from. */
  readonly text: string
  readonly keys: readonly PublicJwk[]
  /** Why keys were left out, one line each. */
  readonly skipped: readonly string[]
}

/**
 * Reads a JWK set: the keys that we could verify with, and why each of the others was left out. One bad key does not
 * spoil the set; a text that is no JWK set has no keys at all. Source: RFC 7517 §5.
 */
export function parseJwks(text: string, use: KeyUse = 'sig'): Result<Jwks> {
  const document = parseStrictJsonObject(text)
  if (!document.ok) return fault(`the JWK set ${document.fault}`)
  const members = document.value['keys']
  if (!Array.isArray(members)) return fault('the JWK set has no array "keys"')
  const keys: PublicJwk[] = []
  const skipped: string[] = []
  const otherUses = new Set<string>()
  for (const [position, member] of members.entries()) {
    const other = otherUse(member, use)
    if (other !== undefined) {
      otherUses.add(other)
      continue
    }
    const judgement = parsePublicJwk(member, use)
    if (judgement.ok) keys.push(judgement.value)
    else skipped.push(`key ${position}: ${judgement.fault}`)
  }
  for (const kid of repeatedKids(keys))
    skipped.push(`all keys of "kid" ${JSON.stringify(kid)}: it must be unique`)
  if (keys.length === 0 && otherUses.size > 0)
    skipped.push(
      `all keys: they are for "use" ${JSON.stringify([...otherUses].join(', '))}, and not "${use}"`,
    )
  return { ok: true, value: { text, keys, skipped } }
}

/** Keys for encryption, or for another kind of signature: many issuers publish them beside ours, and nothing is wrong. */
function otherUse(member: unknown, wanted: KeyUse): string | undefined {
  const use = isMembers(member) ? member['use'] : undefined
  return typeof use === 'string' && use !== wanted ? use : undefined
}

/**
 * Reads an authorization server's metadata: where the keys of exactly that issuer are.
 * Source: OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3: another `issuer` in it must not be used.
 */
export function parseMetadata(text: string, expected: { issuer: string; url: string }): Result<string> {
  const document = parseStrictJsonObject(text)
  if (!document.ok) return fault(`the metadata ${document.fault}`)
  const { issuer, jwks_uri: jwksUri } = document.value
  if (issuer !== expected.issuer) return fault('the metadata is of another "issuer"')
  if (typeof jwksUri !== 'string') return fault('the metadata has no "jwks_uri"')
  // A document of the outside world must not send us to this machine.
  const isAllowed = isLoopbackHttp(expected.url) ? isFetchable(jwksUri) : isHttps(jwksUri)
  if (!isAllowed) return fault('"jwks_uri" is not https')
  return { ok: true, value: jwksUri }
}

/** https, or http to this machine, which is for tests. */
function isFetchable(url: string): boolean {
  return isHttps(url) || isLoopbackHttp(url)
}

function isHttps(url: string): boolean {
  return parseUrl(url)?.protocol === 'https:'
}

function isLoopbackHttp(url: string): boolean {
  const parsed = parseUrl(url)
  return parsed?.protocol === 'http:' && isLoopback(parsed.hostname)
}

function parseUrl(url: string): URL | undefined {
  const parsed = URL.parse(url)
  // A name or password in an address would end up in logs, and no issuer needs one for public keys.
  return parsed === null || parsed.username !== '' || parsed.password !== '' ? undefined : parsed
}

/** The keys of one issuer as they were at one time. Another object means that the keys may be others. */
export interface KeySet {
  readonly keys: readonly VerificationKey[]
}

export interface VerificationKey {
  readonly kid: string | undefined
  /** What it may verify, by its type, curve and own `alg`; a header adds nothing to it (P2). */
  readonly algorithms: readonly SigningAlgorithm[]
  /** The key as the platform verifies with it, imported once per algorithm; `undefined` when it is not on its curve. */
  importedFor(algorithm: SigningAlgorithm): Promise<CryptoKey | undefined>
}

/** A set of these keys. Keys that share a `kid` are all left out: nobody can say which was meant. */
export function createKeySet(jwks: readonly PublicJwk[]): KeySet {
  const ambiguous = repeatedKids(jwks)
  return {
    keys: jwks.filter(({ kid }) => kid === undefined || !ambiguous.has(kid)).map(createVerificationKey),
  }
}

function repeatedKids(jwks: readonly PublicJwk[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { kid } of jwks) {
    if (kid === undefined) continue
    if (seen.has(kid)) repeated.add(kid)
    seen.add(kid)
  }
  return repeated
}

function createVerificationKey(jwk: PublicJwk): VerificationKey {
  // Values and not promises: on Workers a request must not wait for one that another request made.
  const imported = new Map<SigningAlgorithm, CryptoKey>()
  const { kid, alg: _alg, ...material } = jwk
  const importOnce = async (algorithm: SigningAlgorithm): Promise<CryptoKey | undefined> => {
    const key = await importPublic(material, algorithm)
    if (key !== undefined) imported.set(algorithm, key)
    return key
  }
  return {
    kid,
    algorithms: algorithmsFitting(jwk),
    importedFor: async (algorithm) => imported.get(algorithm) ?? importOnce(algorithm),
  }
}

async function importPublic(material: JWK, algorithm: SigningAlgorithm): Promise<CryptoKey | undefined> {
  try {
    const key = await importJWK(material, algorithm)
    // jose gives octets for symmetric keys, and none of those is registered (P2).
    return key instanceof Uint8Array ? undefined : key
  } catch {
    return undefined
  }
}
