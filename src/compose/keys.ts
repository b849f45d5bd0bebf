import { base64Of } from '../domain/pem.ts'
import { kidPattern } from '../adapters/key-ring/local-keys.ts'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { parseJsonObject } from '../domain/json.ts'
import type { Reading } from '../domain/result.ts'
import type { EpochSeconds } from '../domain/time.ts'
import { parseSigningKeys } from '../adapters/google-identity/signing-keys.ts'

/** Whether the ring takes a key of that name. */
export function isSealingKeyName(name: string): boolean {
  return kidPattern.test(name)
}

/** A key as DOWNSCOPE_KEYS takes it: 256 bits, by default under a name that sorts by age, to the second. */
export function newSealingKey(name = nameOfNow()): string {
  return `${name}:${base64Of(crypto.getRandomValues(new Uint8Array(32)))}`
}

function nameOfNow(): string {
  const [day = '', time = ''] = new Date().toISOString().split('T')
  return `k${day.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}`
}

/**
 * The private JWK set of `before` and a new key after it, which is published at once and signs from `signsFrom` on; it
 * is the last one to begin. Without `before` a set of the new key alone, which signs at once. What comes out is what
 * DOWNSCOPE_SIGNING_KEYS accepts.
 */
export async function extendSigningKeys(
  before: string | undefined,
  alg: 'ES256' | 'RS256',
  signsFrom: EpochSeconds,
): Promise<Reading<string>> {
  const known = before === undefined ? undefined : parseSigningKeys(before)
  if (known?.ok === false) return known
  const others = known?.value ?? []
  const keys = others.map(({ privateJwk }) => parseJsonObject(privateJwk.reveal()))
  const nbf = Math.max(signsFrom, ...others.map(({ signsFrom: from = 0 }) => from + 1))
  const key = { ...(await makeKey(alg)), ...(others.length > 0 && { nbf }) }
  const text = `${JSON.stringify({ keys: [...keys, key] })}\n`
  const reading = parseSigningKeys(text)
  return reading.ok ? { ok: true, value: text } : reading
}

async function makeKey(alg: string): Promise<object> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(privateKey)
  // RFC 7638: a name that says nothing and is never given twice.
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg, use: 'sig' }
}
