import { fault, type Result } from '../domain/result.ts'
import type { Proof } from '../domain/exchange-request.ts'
import type { Claims } from '../domain/caller.ts'
import { parseStrictJsonObject } from '../domain/json.ts'

/** A JWT taken apart, strictly; nothing in it is believed yet. */
export interface CompactJws {
  readonly header: JoseHeader
  readonly claims: Claims
}

export interface JoseHeader {
  readonly alg: string
  readonly kid: string | undefined
  readonly typ: string | undefined
}

/** Characters, which are octets here: base64url and dots are ASCII. */
export const assertionLengthMax = 16_384

/**
 * Takes a compact JWS apart and accepts one spelling only: three parts of strict base64url, at most 16 KiB, header
 * and payload UTF-8 JSON objects without duplicate members, no parameter that changes how the rest is read or that
 * brings its own key. Verifies nothing. Source: RFC 7515 §5.2, RFC 7519 §7.2, RFC 8725 §3 (P7, P9).
 */
export function parseCompactJws(token: string): Result<CompactJws> {
  if (token.length > assertionLengthMax) return fault(`longer than ${assertionLengthMax} characters`)
  const [protectedHeader, payload, signature, ...more] = token.split('.', 4)
  if (protectedHeader === undefined || payload === undefined || signature === undefined || more.length > 0)
    return fault('not three parts')
  if (signature === '' || !isStrictBase64url(signature)) return fault('signature is not strict base64url')
  const headerText = decodeStrictBase64url(protectedHeader)
  if (headerText === undefined) return fault('header is not UTF-8 in strict base64url')
  const payloadText = decodeStrictBase64url(payload)
  if (payloadText === undefined) return fault('payload is not UTF-8 in strict base64url')
  const members = parseStrictJsonObject(headerText)
  if (!members.ok) return fault(`header ${members.fault}`)
  const claims = parseStrictJsonObject(payloadText)
  if (!claims.ok) return fault(`payload ${claims.fault}`)
  return judgeHeader(members.value, claims.value)
}

// `crit`, `b64` and `zip` change what the rest means; the others name or bring a key that is not registered.
const refusedParameters = ['crit', 'b64', 'zip', 'jwk', 'jku', 'x5u', 'x5c'] as const

function judgeHeader(header: Claims, claims: Claims): Result<CompactJws> {
  const refused = refusedParameters.find((name) => Object.hasOwn(header, name))
  if (refused !== undefined) return fault(`header has "${refused}"`)
  const { alg, kid, typ } = header
  if (typeof alg !== 'string') return fault('"alg" is not a string')
  if (kid !== undefined && typeof kid !== 'string') return fault('"kid" is not a string')
  if (typ !== undefined && typeof typ !== 'string') return fault('"typ" is not a string')
  return { ok: true, value: { header: { alg, kid, typ }, claims } }
}

const alphabet = /^[\w-]*$/
// The last character of a group that is not full carries bits that belong to no octet; they must be zero.
const lastOfTwo = 'AQgw'
const lastOfThree = 'AEIMQUYcgkosw048'
const beyondAscii = /[\u0080-\u00ff]/

/** Whether it is the one base64url spelling of some octets: no padding, no other alphabet, no stray trailing bits. */
function isStrictBase64url(text: string): boolean {
  if (!alphabet.test(text)) return false
  switch (text.length % 4) {
    case 0:
      return true
    case 2:
      return lastOfTwo.includes(text.slice(-1))
    case 3:
      return lastOfThree.includes(text.slice(-1))
    default:
      return false
  }
}

/** The text whose UTF-8 octets these are; `undefined` unless base64url is strict and UTF-8 valid. A BOM is kept. */
function decodeStrictBase64url(encoded: string): string | undefined {
  if (!isStrictBase64url(encoded)) return undefined
  const octets = atob(encoded.replaceAll('-', '+').replaceAll('_', '/'))
  // ASCII octets are their own text: the usual case needs no second pass.
  return beyondAscii.test(octets) ? decodeUtf8(octets) : octets
}

function decodeUtf8(octets: string): string | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    return decoder.decode(Uint8Array.from(octets, (octet) => octet.charCodeAt(0)))
  } catch {
    return undefined
  }
}

/**
 * Whether a JWT of that `typ` may prove identity in that form: untyped, `JWT` or `JOSE` (as SPIFFE may type its
 * JWT-SVIDs), and for a client assertion its own type too; every other kind of token was issued for another purpose (P8).
 * Source: RFC 7515 §4.1.9 (media types, case-insensitive), RFC 8725 §3.11, rfc7523bis §4 (`client-authentication+jwt`).
 */
export function isAcceptedTyp(typ: string | undefined, form: Proof['form']): boolean {
  if (typ === undefined || typ === 'JWT') return true
  const kind = kindOf(typ)
  return (
    kind === 'jwt' || kind === 'jose' || (kind === 'client-authentication+jwt' && form === 'client_assertion')
  )
}

/** RFC 9068 §2.1. */
export function isAccessTokenTyp(typ: string | undefined): boolean {
  return kindOf(typ ?? '') === 'at+jwt'
}

function kindOf(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}
