import { isLoopback } from '../domain/loopback.ts'
import { isMembers } from '../domain/json-object.ts'
import { parsePublicJwk, type KeyUse, type PublicJwk } from '../domain/public-jwk.ts'
import { repeatedKids } from './key-set.ts'
import { parseStrictJsonObject } from '../domain/strict-json.ts'

export type JwksJudgement = ({ readonly ok: true } & Jwks) | { readonly ok: false; readonly fault: string }

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
export function parseJwks(text: string, use: KeyUse = 'sig'): JwksJudgement {
  const document = parseStrictJsonObject(text)
  if (!document.ok) return { ok: false, fault: `the JWK set ${document.fault}` }
  const members = document.value['keys']
  if (!Array.isArray(members)) return { ok: false, fault: 'the JWK set has no array "keys"' }
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
    if (judgement.ok) keys.push(judgement.key)
    else skipped.push(`key ${position}: ${judgement.fault}`)
  }
  for (const kid of repeatedKids(keys))
    skipped.push(`all keys of "kid" ${JSON.stringify(kid)}: it must be unique`)
  if (keys.length === 0 && otherUses.size > 0)
    skipped.push(
      `all keys: they are for "use" ${JSON.stringify([...otherUses].join(', '))}, and not "${use}"`,
    )
  return { ok: true, text, keys, skipped }
}

/** Keys for encryption, or for another kind of signature: many issuers publish them beside ours, and nothing is wrong. */
function otherUse(member: unknown, wanted: KeyUse): string | undefined {
  const use = isMembers(member) ? member['use'] : undefined
  return typeof use === 'string' && use !== wanted ? use : undefined
}

export type MetadataJudgement =
  | { readonly ok: true; readonly jwksUri: string }
  | { readonly ok: false; readonly fault: string }

/**
 * Reads an authorization server's metadata: where the keys of exactly that issuer are.
 * Source: OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3: another `issuer` in it must not be used.
 */
export function parseMetadata(text: string, expected: { issuer: string; url: string }): MetadataJudgement {
  const document = parseStrictJsonObject(text)
  if (!document.ok) return { ok: false, fault: `the metadata ${document.fault}` }
  const { issuer, jwks_uri: jwksUri } = document.value
  if (issuer !== expected.issuer) return { ok: false, fault: 'the metadata is of another "issuer"' }
  if (typeof jwksUri !== 'string') return { ok: false, fault: 'the metadata has no "jwks_uri"' }
  // A document of the outside world must not send us to this machine.
  const isAllowed = isLoopbackHttp(expected.url) ? isFetchable(jwksUri) : isHttps(jwksUri)
  if (!isAllowed) return { ok: false, fault: '"jwks_uri" is not https' }
  return { ok: true, jwksUri }
}

/** https, or http to this machine, which is for tests. */
export function isFetchable(url: string): boolean {
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
