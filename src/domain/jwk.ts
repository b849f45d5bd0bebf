import { fault, type Result } from './result.ts'
import { isMembers, type Members } from './json.ts'
import { omitUndefined } from './omit-undefined.ts'

/** What keys are published for: `jwt-svid` in SPIFFE trust bundles (SPIFFE Trust Domain and Bundle §4.2.2). */
export const keyUses = ['sig', 'jwt-svid'] as const

export type KeyUse = (typeof keyUses)[number]

/** A public key for verifying signatures, checked member by member (P2); nothing private, nothing symmetric. */
export type PublicJwk = RsaPublicJwk | EcPublicJwk | OkpPublicJwk

interface KeyNames {
  readonly kid?: string
  readonly alg?: string
}

export interface RsaPublicJwk extends KeyNames {
  readonly kty: 'RSA'
  readonly n: string
  readonly e: string
}

export interface EcPublicJwk extends KeyNames {
  readonly kty: 'EC'
  readonly crv: 'P-256' | 'P-384' | 'P-521'
  readonly x: string
  readonly y: string
}

export interface OkpPublicJwk extends KeyNames {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
}

/** RFC 7518 §3.1 and RFC 9864: what each type and curve of key can verify; asymmetric only. */
const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const
const ecAlgorithm = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' } as const

/**
 * The JWS algorithms that this key may verify, decided by its type, curve and own `alg` and by nothing that a token
 * says (P2). Empty when its `alg` is not one of its type. Ed25519 goes by `EdDSA`, whichever of its names `alg` has.
 */
export function algorithmsFitting(key: PublicJwk): readonly SigningAlgorithm[] {
  const { alg } = key
  switch (key.kty) {
    case 'RSA':
      return rsaAlgorithms.filter((name) => alg === undefined || alg === name)
    case 'EC':
      return alg === undefined || alg === ecAlgorithm[key.crv] ? [ecAlgorithm[key.crv]] : []
    case 'OKP':
      // RFC 9864 §2.2: `Ed25519` says fully what `EdDSA` means for this curve.
      return alg === undefined || alg === 'EdDSA' || alg === 'Ed25519' ? ['EdDSA'] : []
  }
}

const rsaBitsMin = 2048
const rsaBitsMax = 8192
const coordinateBytes = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/**
 * Judges one JWK as a key to verify with: RSA of 2048 to 8192 bits with an odd exponent of at least 3, a right curve
 * point size, `use`, `key_ops` and `alg` that allow verifying, and no private or symmetric member.
 * Keys without a `use` count as signature keys only. Source: RFC 7517 §4, RFC 7518 §6, RFC 8725 §3.5.
 */
export function parsePublicJwk(value: unknown, wanted: KeyUse = 'sig'): Result<PublicJwk> {
  if (!isMembers(value)) return fault('a key must be a JSON object')
  const exposed = privateMembers.find((member) => member in value)
  if (exposed !== undefined) return fault(`a public key must not have the private member "${exposed}"`)
  const use = value['use']
  if (use !== wanted && !(wanted === 'sig' && use === undefined)) return fault(`"use" must be "${wanted}"`)
  const operations = value['key_ops']
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return fault('"key_ops" must include "verify"')
  const names = parseNames(value)
  if (names === undefined) return fault('"kid" and "alg" must be non-empty strings when they are there')
  const judgement = parseMaterial(value, names)
  if (judgement.ok && algorithmsFitting(judgement.value).length === 0)
    return fault('"alg" must be a signature algorithm of this type of key')
  return judgement
}

function parseMaterial(value: Members, names: KeyNames): Result<PublicJwk> {
  switch (value['kty']) {
    case 'RSA':
      return parseRsa(value, names)
    case 'EC':
      return parseEc(value, names)
    case 'OKP':
      return parseOkp(value, names)
    default:
      return fault('"kty" must be RSA, EC or OKP')
  }
}

function parseRsa(value: Members, names: KeyNames): Result<PublicJwk> {
  const { n, e } = value
  const modulus = decode(n)
  const exponent = decode(e)
  if (modulus === undefined || exponent === undefined) return fault('"n" and "e" must be base64url')
  const bits = bitLength(modulus)
  if (bits < rsaBitsMin || bits > rsaBitsMax)
    return fault(`an RSA key must have ${rsaBitsMin} to ${rsaBitsMax} bits, this has ${bits}`)
  const last = exponent.at(-1) ?? 0
  const isTiny = exponent.length === 1 && last < 3
  if (exponent.length === 0 || exponent.length > 4 || exponent[0] === 0 || last % 2 === 0 || isTiny)
    return fault('"e" must be an odd exponent from 3 to 2^32')
  return { ok: true, value: { ...names, kty: 'RSA', n: String(n), e: String(e) } }
}

function parseEc(value: Members, names: KeyNames): Result<PublicJwk> {
  const { crv, x, y } = value
  if (crv !== 'P-256' && crv !== 'P-384' && crv !== 'P-521')
    return fault('"crv" must be P-256, P-384 or P-521')
  const size = coordinateBytes[crv]
  if (decode(x)?.length !== size || decode(y)?.length !== size)
    return fault(`"x" and "y" must be ${size} octets in base64url for ${crv}`)
  return { ok: true, value: { ...names, kty: 'EC', crv, x: String(x), y: String(y) } }
}

function parseOkp(value: Members, names: KeyNames): Result<PublicJwk> {
  const { crv, x } = value
  if (crv !== 'Ed25519') return fault('"crv" must be Ed25519')
  if (decode(x)?.length !== 32) return fault('"x" must be 32 octets in base64url for Ed25519')
  return { ok: true, value: { ...names, kty: 'OKP', crv, x: String(x) } }
}

function parseNames({ kid, alg }: Members): KeyNames | undefined {
  if (kid !== undefined && (typeof kid !== 'string' || kid === '')) return undefined
  if (alg !== undefined && (typeof alg !== 'string' || alg === '')) return undefined
  return { ...omitUndefined({ kid, alg }) }
}

function decode(text: unknown): Uint8Array | undefined {
  if (typeof text !== 'string' || !/^[\w-]+$/.test(text)) return undefined
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
  } catch {
    return undefined
  }
}

function bitLength(octets: Uint8Array): number {
  const first = octets.findIndex((octet) => octet !== 0)
  if (first === -1) return 0
  return (octets.length - first) * 8 - (Math.clz32(octets[first] ?? 0) - 24)
}

/** The public half of a key that the broker itself signs with, as anybody may fetch it. */
export type PublishedJwk = (RsaPublicJwk | EcPublicJwk) & {
  readonly kid: string
  readonly alg: 'RS256' | 'ES256'
}

/** The signatures that may count: asymmetric ones only (P2). RFC 7518 §3.1, RFC 8037 §3.1. */
export const signingAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

export type SigningAlgorithm = (typeof signingAlgorithms)[number]
