import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'

import { parseJsonObject } from '../domain/json-object.ts'
import { parseSigningKeys } from '../adapters/google-identity/parse-signing-keys.ts'

export type ExtendedKeys =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly faults: readonly string[] }

/**
 * The private JWK set of `before` and a new key after it, which is published and does not sign yet; without `before` a
 * set of the new key alone. What comes out is what DOWNSCOPE_SIGNING_KEYS accepts.
 */
export async function extendSigningKeys(
  before: string | undefined,
  alg: 'ES256' | 'RS256',
): Promise<ExtendedKeys> {
  const known = before === undefined ? undefined : parseSigningKeys(before)
  if (known?.ok === false) return known
  const keys = (known?.keys ?? []).map(({ privateJwk }) => parseJsonObject(privateJwk.reveal()))
  const text = `${JSON.stringify({ keys: [...keys, await makeKey(alg)] })}\n`
  const reading = parseSigningKeys(text)
  return reading.ok ? { ok: true, text } : reading
}

async function makeKey(alg: string): Promise<object> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(privateKey)
  // RFC 7638: a name that says nothing and is never given twice.
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg, use: 'sig' }
}
