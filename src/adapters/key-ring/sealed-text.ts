import { base64url, decodeProtectedHeader, flattenedDecrypt, FlattenedEncrypt, type CryptoKey } from 'jose'

import { Secret } from '../../domain/secret.ts'
import { keyRingError } from './key-ring-error.ts'
import type { KeyName, SealingKey } from './ring-keys.ts'

/*
 * `alg: dir`: the content key is one that both sides have, or that a KMS gives for what the header holds. A256GCMKW
 * would wrap a fresh key per text under it with a random 96-bit nonce too, so it has the same bound at twice the work.
 * That bound: at most 2^32 texts sealed under one key (NIST SP 800-38D §8.3); at 100 a second that is 16 months, so
 * put a new first local key into the ring yearly, and oftener when busier. A data key of a KMS lives for an hour.
 */
const algorithm = 'dir'
const encryption = 'A256GCM'
/** Our own header member (RFC 7515 §4.3). It is authenticated like the rest of the header. */
const wrappedMember = 'dek'

/** The parts of a sealed text, and the key it names. */
export interface SealedText extends KeyName {
  readonly protected: string
  readonly iv: string
  readonly ciphertext: string
  readonly tag: string
}

/**
 * The five parts of a compact JWE (RFC 7516 §7.1) sealed with `place` as additional data, which is not in the text:
 * the reader must know it.
 */
export async function sealText(
  { kid, wrapped, key }: SealingKey,
  plaintext: Secret,
  place: string,
): Promise<string> {
  const wrappedKey = wrapped === undefined ? {} : { [wrappedMember]: wrapped }
  const jwe = await new FlattenedEncrypt(new TextEncoder().encode(plaintext.reveal()))
    .setProtectedHeader({ alg: algorithm, enc: encryption, kid, ...wrappedKey })
    .setAdditionalAuthenticatedData(placeOctets(place))
    .encrypt(key)
  return [jwe.protected, '', jwe.iv, jwe.ciphertext, jwe.tag].join('.')
}

/** Throws `key_ring_unavailable` for a text that was changed or moved, or that another key sealed. */
export async function openText(
  { kid, wrapped: _wrapped, ...jwe }: SealedText,
  key: CryptoKey,
  place: string,
): Promise<Secret> {
  const aad = base64url.encode(placeOctets(place))
  try {
    const { plaintext } = await flattenedDecrypt({ ...jwe, aad }, key, {
      keyManagementAlgorithms: [algorithm],
      contentEncryptionAlgorithms: [encryption],
      maxDecompressedLength: 0,
    })
    return new Secret(new TextDecoder().decode(plaintext))
  } catch (cause) {
    const fault = 'it was changed, or moved there, or another key of that name sealed it'
    throw keyRingError(`key "${kid}" does not open ${place}: ${fault}`, { cause })
  }
}

/** Throws `key_ring_unavailable`, without a word of the text, for what is no sealed text. */
export function parseSealed(sealed: string, place: string): SealedText {
  const [header, wrappedKey, iv, ciphertext, tag, ...more] = sealed.split('.')
  if (header && wrappedKey === '' && iv && ciphertext !== undefined && tag && more.length === 0) {
    const name = nameIn(header)
    if (name !== undefined) return { ...name, protected: header, iv, ciphertext, tag }
  }
  throw keyRingError(`what lies at ${place} is no sealed text`)
}

function nameIn(header: string): KeyName | undefined {
  try {
    const { kid, [wrappedMember]: wrapped } = decodeProtectedHeader({ protected: header })
    // The name goes into the reason of a refusal, and whoever writes the store wrote it.
    if (typeof kid !== 'string' || !/^[\w./:-]{1,400}$/.test(kid)) return undefined
    if (wrapped === undefined) return { kid }
    return typeof wrapped === 'string' && wrapped.length <= 4096 ? { kid, wrapped } : undefined
  } catch {
    return undefined
  }
}

function placeOctets(place: string): Uint8Array {
  if (place === '') throw new TypeError('a sealed text needs a place')
  return new TextEncoder().encode(place)
}
