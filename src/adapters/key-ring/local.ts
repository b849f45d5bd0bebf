import { base64url, decodeProtectedHeader, flattenedDecrypt, FlattenedEncrypt, type CryptoKey } from 'jose'

import { BrokerError } from '../../domain/broker-error.ts'
import { Secret } from '../../domain/secret.ts'
import type { KeyRing } from '../../ports/key-ring.ts'
import { decodeLocalKey, type LocalKey } from './local-keys.ts'

/*
 * `alg: dir`: A256GCMKW would wrap a fresh key per text under the KEK with a random 96-bit nonce too, so it has the
 * same bound at twice the work. That bound: at most 2^32 texts sealed under one key (NIST SP 800-38D §8.3); at 100
 * a second that is 16 months, so put a new first key into the ring yearly, and oftener when busier.
 */
const algorithm = 'dir'
const encryption = 'A256GCM'

/**
 * A key ring whose keys are in this process: the first seals, all open. A sealed text is the five parts of a compact
 * JWE (RFC 7516 §7.1) sealed with `place` as additional data, which is not in the text: the reader must know it.
 * Throws TypeError for an empty ring or a key that is not 256 bits, both of which `parseLocalKeys` refuses.
 */
export function createLocalKeyRing(keys: readonly LocalKey[]): KeyRing {
  const ring = new Map(keys.map(({ kid, key }) => [kid, createKey(kid, key)]))
  const first = keys[0]
  if (first === undefined) throw new TypeError('a key ring needs a key')

  const keyOf = (kid: string, place: string): Promise<CryptoKey> => {
    const key = ring.get(kid)
    if (key !== undefined) return key()
    throw unavailable(`there is no key "${kid}" in the ring to open ${place} with`)
  }

  const seal = async (plaintext: Secret, place: string): Promise<string> => {
    const jwe = await new FlattenedEncrypt(new TextEncoder().encode(plaintext.reveal()))
      .setProtectedHeader({ alg: algorithm, enc: encryption, kid: first.kid })
      .setAdditionalAuthenticatedData(placeOctets(place))
      .encrypt(await keyOf(first.kid, place))
    return [jwe.protected, '', jwe.iv, jwe.ciphertext, jwe.tag].join('.')
  }

  const open = async (sealed: string, place: string): Promise<Secret> => {
    const { kid, ...jwe } = parseSealed(sealed, place)
    const key = await keyOf(kid, place)
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
      throw unavailable(`key "${kid}" does not open ${place}: ${fault}`, cause)
    }
  }

  return {
    seal,
    open,
    ping: async () => {
      await open(await seal(new Secret('ping'), 'ping'), 'ping')
    },
  }
}

/** Imports the key at its first use. The result is kept, not the promise: Workers must not share those. */
function createKey(kid: string, key: Secret): () => Promise<CryptoKey> {
  const octets = decodeLocalKey(key)
  if (octets === undefined) throw new TypeError(`key "${kid}" is not 256 bits in base64`)
  let imported: CryptoKey | undefined
  return async () => {
    imported ??= await crypto.subtle.importKey('raw', octets, 'AES-GCM', false, ['encrypt', 'decrypt'])
    return imported
  }
}

interface SealedParts {
  readonly kid: string
  readonly protected: string
  readonly iv: string
  readonly ciphertext: string
  readonly tag: string
}

function parseSealed(sealed: string, place: string): SealedParts {
  const [header, wrappedKey, iv, ciphertext, tag, ...more] = sealed.split('.')
  if (header && wrappedKey === '' && iv && ciphertext !== undefined && tag && more.length === 0) {
    const kid = kidOf(header)
    if (kid !== undefined) return { kid, protected: header, iv, ciphertext, tag }
  }
  throw unavailable(`what lies at ${place} is no sealed text`)
}

function kidOf(header: string): string | undefined {
  try {
    const { kid } = decodeProtectedHeader({ protected: header })
    // It goes into the reason of a refusal, and whoever writes the store wrote it.
    return typeof kid === 'string' && /^[\w.-]{1,64}$/.test(kid) ? kid : undefined
  } catch {
    return undefined
  }
}

function placeOctets(place: string): Uint8Array {
  if (place === '') throw new TypeError('a sealed text needs a place')
  return new TextEncoder().encode(place)
}

function unavailable(reason: string, cause?: unknown): BrokerError {
  return new BrokerError('key_ring_unavailable', { reason, cause })
}
