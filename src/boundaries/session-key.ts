import { fault, type Result } from '../domain/result.ts'
import { join, readMessage, type Message, type Octets } from './protobuf.ts'

/** What seals boundaries for one intermediary token: the primary key of Google's cleartext Tink keyset. */
export interface SessionKey {
  /** What a ciphertext of this key begins with, so that whoever opens it finds the key. */
  readonly prefix: Octets
  /** 16 or 32 octets. */
  readonly key: Octets
}

const aesGcmType = 'type.googleapis.com/google.crypto.tink.AesGcmKey'
const encodedMax = 64 * 1024
const keysMax = 32
const enabled = 1
const symmetric = 1
const prefixTypes = { tink: 1, legacy: 2, raw: 3, crunchy: 4 } as const

/**
 * The key that seals, of a keyset as the Security Token Service gives it (`access_boundary_session_key`). A second
 * enabled key of another type refuses the set, as Tink itself does. Source: tink.proto, aes_gcm.proto.
 */
export function readSessionKey(text: string): Result<SessionKey> {
  const keyset = decode(text)
  if (typeof keyset === 'string') return fault(keyset)
  const keys = keyset.all(2).map((octets) => readMessage(octets))
  if (keys.length > keysMax) return fault('it has too many keys')
  const usable: Message[] = []
  for (const key of keys) {
    if (key === undefined) return fault('it holds a key that cannot be read')
    if (key.number(2) === enabled) usable.push(key)
  }
  const read = usable.map((key) => ({ id: key.number(3), result: readKey(key) }))
  for (const { result } of read) if (!result.ok) return result
  const [primary, ...others] = read.filter(({ id }) => id === keyset.number(1))
  if (primary === undefined) return fault('its primary key is missing or not enabled')
  return others.length > 0 ? fault('it has two primary keys') : primary.result
}

/** Standard alphabet, with or without padding; neither line breaks nor the alphabet for URLs. */
function decode(text: string): Message | string {
  if (text.length > encodedMax) return 'it is too long'
  const bare = text.replace(/={0,2}$/, '')
  const isPadded = bare.length === text.length || text.length % 4 === 0
  if (!/^[A-Za-z0-9+/]+$/.test(bare) || bare.length % 4 === 1 || !isPadded) return 'it is not Base64'
  const octets = Uint8Array.from(atob(bare), (character) => character.charCodeAt(0))
  return readMessage(octets) ?? 'it is no keyset'
}

function readKey(message: Message): Result<SessionKey> {
  const data = readMessage(message.bytes(1) ?? new Uint8Array())
  const type = new TextDecoder().decode(data?.bytes(1))
  if (data === undefined || type !== aesGcmType) return fault('it holds a key of another type than AES-GCM')
  const aes = readMessage(data.bytes(2) ?? new Uint8Array())
  const key = aes?.bytes(3)
  if (aes === undefined || key === undefined || data.number(3) !== symmetric)
    return fault('its AES-GCM key cannot be read')
  if (aes.number(1) !== 0) return fault('its AES-GCM key is of another version')
  if (key.length !== 16 && key.length !== 32)
    return fault('its AES-GCM key is neither of 128 nor of 256 bits')
  const prefix = prefixOf(message.number(4), message.number(3))
  return prefix === undefined
    ? fault('its AES-GCM key has an unknown prefix')
    : { ok: true, value: { prefix, key } }
}

function prefixOf(type: number, id: number): Octets | undefined {
  const bigEndian = new Uint8Array(4)
  new DataView(bigEndian.buffer).setUint32(0, id)
  switch (type) {
    case prefixTypes.tink:
      return join([Uint8Array.of(1), bigEndian])
    case prefixTypes.legacy:
    case prefixTypes.crunchy:
      return join([Uint8Array.of(0), bigEndian])
    case prefixTypes.raw:
      return new Uint8Array()
    default:
      return undefined
  }
}
