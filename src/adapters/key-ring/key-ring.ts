import { type CryptoKey, base64url } from 'jose'
import { Secret } from '../../domain/secret.ts'
import type { KeyRing } from '../../ports/key-ring.ts'
import { keyRingError, type KeyName, type RingKeys, type SealingKey } from './ring-keys.ts'
import { parseJsonObject, type Members } from '../../domain/json.ts'

/** A key ring of keys of several kinds: the first kind seals, all open. So a store can move from one to another. */
export function createKeyRing(parts: readonly [RingKeys, ...RingKeys[]]): KeyRing {
  const [first] = parts

  const keyOf = (name: KeyName, place: string): Promise<CryptoKey> => {
    for (const part of parts) {
      const key = part.opening(name)
      if (key !== undefined) return key
    }
    throw keyRingError(`there is no key "${name.kid}" in the ring to open ${place} with`)
  }

  const seal = async (plaintext: Secret, place: string): Promise<string> =>
    sealText(await first.sealing(), plaintext, place)

  const open = async (sealed: string, place: string): Promise<Secret> => {
    const text = parseSealed(sealed, place)
    return openText(text, await keyOf(text, place), place)
  }

  return {
    seal,
    open,
    keyIdOf: (sealed, place) => parseSealed(sealed, place).kid,
    renew: first.renew,
    ping: async () => {
      await Promise.all(parts.map((part) => part.ping()))
      await open(await seal(new Secret('ping'), 'ping'), 'ping')
    },
  }
}

/*
 * `alg: dir`: the content key is one that both sides have, or that a KMS gives for what the header holds. A256GCMKW
 * would wrap a fresh key per text under it with a random 96-bit nonce too, so it has the same bound at twice the work.
 * That bound: at most 2^32 texts sealed under one key (NIST SP 800-38D §8.3); at 100 a second that is 16 months, so
 * put a new first local key into the ring yearly, and oftener when busier. A data key of a KMS lives for an hour.
 *
 * By the platform and not by jose, whose JWE brings every other algorithm along, 5 KB of a Worker; a test holds both to
 * the same texts.
 */
const algorithm = 'dir'
const encryption = 'A256GCM'
/** RFC 7518 §5.3. */
const ivBytes = 12
const tagBytes = 16
/** Our own header member (RFC 7515 §4.3). It is authenticated like the rest of the header. */
const wrappedMember = 'dek'

/** The parts of a sealed text, and the key it names. */
export interface SealedText extends KeyName {
  readonly header: Members
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
  const header = base64url.encode(JSON.stringify({ alg: algorithm, enc: encryption, kid, ...wrappedKey }))
  const iv = crypto.getRandomValues(new Uint8Array(ivBytes))
  const octets = new TextEncoder().encode(plaintext.reveal())
  const sealed = new Uint8Array(await crypto.subtle.encrypt(gcm(iv, header, place), key, octets))
  const parts = [iv, sealed.subarray(0, -tagBytes), sealed.subarray(-tagBytes)]
  return [header, '', ...parts.map((part) => base64url.encode(part))].join('.')
}

/** Throws `key_ring_unavailable` for a text that was changed or moved, or that another key sealed. */
export async function openText(text: SealedText, key: CryptoKey, place: string): Promise<Secret> {
  const opened = await decrypt(text, key, place)
  if (opened !== undefined) return new Secret(new TextDecoder().decode(opened))
  const fault = 'it was changed, or moved there, or another key of that name sealed it'
  throw keyRingError(`key "${text.kid}" does not open ${place}: ${fault}`)
}

async function decrypt(
  { header, protected: sent, ...parts }: SealedText,
  key: CryptoKey,
  place: string,
): Promise<ArrayBuffer | undefined> {
  // RFC 7516 §4.1.3 and §4.1.13: who does not know how to inflate, or what is critical, must refuse.
  if (header['alg'] !== algorithm || header['enc'] !== encryption || 'zip' in header || 'crit' in header)
    return undefined
  const [iv, ciphertext, tag] = [parts.iv, parts.ciphertext, parts.tag].map(decode)
  if (iv?.length !== ivBytes || ciphertext === undefined || tag?.length !== tagBytes) return undefined
  const sealed = new Uint8Array(ciphertext.length + tagBytes)
  sealed.set(ciphertext)
  sealed.set(tag, ciphertext.length)
  return crypto.subtle.decrypt(gcm(iv, sent, place), key, sealed).catch(() => undefined)
}

/** Throws `key_ring_unavailable`, without a word of the text, for what is no sealed text. */
export function parseSealed(sealed: string, place: string): SealedText {
  const [sent, wrappedKey, iv, ciphertext, tag, ...more] = sealed.split('.')
  if (sent && wrappedKey === '' && iv && ciphertext !== undefined && tag && more.length === 0) {
    const octets = decode(sent)
    const header = octets === undefined ? {} : (parseJsonObject(new TextDecoder().decode(octets)) ?? {})
    const name = nameIn(header)
    if (name !== undefined) return { ...name, header, protected: sent, iv, ciphertext, tag }
  }
  throw keyRingError(`what lies at ${place} is no sealed text`)
}

function nameIn({ kid, [wrappedMember]: wrapped }: Members): KeyName | undefined {
  // The name goes into the reason of a refusal, and whoever writes the store wrote it.
  if (typeof kid !== 'string' || !/^[\w./:-]{1,400}$/.test(kid)) return undefined
  if (wrapped === undefined) return { kid }
  return typeof wrapped === 'string' && wrapped.length <= 4096 ? { kid, wrapped } : undefined
}

/** RFC 7516 §5.1, steps 14 and 15: the header as it is sent and the place are authenticated with the text. */
function gcm(iv: Uint8Array<ArrayBuffer>, header: string, place: string) {
  if (place === '') throw new TypeError('a sealed text needs a place')
  const additionalData = new TextEncoder().encode(`${header}.${base64url.encode(place)}`)
  return { name: 'AES-GCM', iv, additionalData, tagLength: tagBytes * 8 }
}

function decode(part: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return new Uint8Array(base64url.decode(part))
  } catch {
    return undefined
  }
}
