import { base64url, flattenedDecrypt, FlattenedEncrypt, type CryptoKey } from 'jose'
import { omitUndefined } from '../../domain/omit-undefined.ts'
import { Secret } from '../../domain/secret.ts'
import type { KeyRing } from '../../ports/key-ring.ts'
import { parseJsonObject, type Members } from '../../domain/json.ts'
import { BrokerError } from '../../domain/broker-error.ts'

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
 */
const algorithm = 'dir'
const encryption = 'A256GCM'
const accepted = { keyManagementAlgorithms: [algorithm], contentEncryptionAlgorithms: [encryption] }
/** Our own header member (RFC 7515 §4.3). It is authenticated like the rest of the header. */
const wrappedMember = 'dek'

/** The parts of a sealed text, and the key it names. */
interface SealedText extends KeyName {
  readonly protected: string
  readonly iv: string
  readonly ciphertext: string
  readonly tag: string
}

/**
 * The five parts of a compact JWE (RFC 7516 §7.1) sealed with `place` as additional authenticated data, which is not in
 * the text: the reader must know it.
 */
export async function sealText(
  { kid, wrapped, key }: SealingKey,
  plaintext: Secret,
  place: string,
): Promise<string> {
  const jwe = await new FlattenedEncrypt(new TextEncoder().encode(plaintext.reveal()))
    .setProtectedHeader({
      alg: algorithm,
      enc: encryption,
      kid,
      ...omitUndefined({ [wrappedMember]: wrapped }),
    })
    .setAdditionalAuthenticatedData(additionalData(place))
    .encrypt(key)
  return [jwe.protected, '', jwe.iv, jwe.ciphertext, jwe.tag].join('.')
}

/** Throws `key_ring_unavailable` for a text that was changed or moved, or that another key sealed. */
export async function openText({ kid, ...text }: SealedText, key: CryptoKey, place: string): Promise<Secret> {
  const aad = base64url.encode(additionalData(place))
  try {
    const { plaintext } = await flattenedDecrypt(
      { protected: text.protected, iv: text.iv, ciphertext: text.ciphertext, tag: text.tag, aad },
      key,
      accepted,
    )
    return new Secret(new TextDecoder().decode(plaintext))
  } catch {
    // The cause may quote the text.
    const fault = 'it was changed, or moved there, or another key of that name sealed it'
    throw keyRingError(`key "${kid}" does not open ${place}: ${fault}`)
  }
}

/** Throws `key_ring_unavailable`, without a word of the text, for what is no sealed text. */
export function parseSealed(sealed: string, place: string): SealedText {
  const [sent, wrappedKey, iv, ciphertext, tag, ...more] = sealed.split('.')
  if (sent && wrappedKey === '' && iv && ciphertext !== undefined && tag && more.length === 0) {
    const octets = decode(sent)
    const header = octets === undefined ? {} : (parseJsonObject(new TextDecoder().decode(octets)) ?? {})
    const name = nameIn(header)
    if (name !== undefined) return { ...name, protected: sent, iv, ciphertext, tag }
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
function additionalData(place: string): Uint8Array {
  if (place === '') throw new TypeError('a sealed text needs a place')
  return new TextEncoder().encode(place)
}

function decode(part: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return new Uint8Array(base64url.decode(part))
  } catch {
    return undefined
  }
}

/** What a sealed text says of the key that sealed it. */
interface KeyName {
  readonly kid: string
  /** The data key itself, as a KMS wrapped it; absent where the ring has the key. In base64. */
  readonly wrapped?: string
}

export interface SealingKey extends KeyName {
  /** For AES-GCM of 256 bits. */
  readonly key: CryptoKey
}

/** The keys of one kind in a ring. Everything may throw `key_ring_unavailable`. */
export interface RingKeys {
  /** The key that seals now. */
  sealing(): Promise<SealingKey>
  /** The key of that name, or `undefined` when it is none of these. */
  opening(name: KeyName): Promise<CryptoKey> | undefined
  /** The id of the key that seals from now on, looked for anew. */
  renew(): Promise<string>
  /** Throws when the keys could not be had now. */
  ping(): Promise<void>
}

export const dataKeyBytes = 32

/** A key that seals and opens, and that nobody gets out of the platform again. */
export function importDataKey(octets: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', octets, 'AES-GCM', false, ['encrypt', 'decrypt'])
}

/** `key_ring_unavailable`, with the reason that only the log sees. */
export function keyRingError(reason: string): BrokerError {
  return new BrokerError('key_ring_unavailable', { reason })
}
