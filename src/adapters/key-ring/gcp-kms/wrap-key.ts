import type { Members } from '../../../domain/json-object.ts'
import { decodeBase64, encodeBase64 } from '../base64.ts'
import { crc32c } from '../crc32c.ts'
import { dataKeyBytes } from '../data-key.ts'
import type { AskKms, KmsReply, Reading } from './ask-kms.ts'

/** A data key as Cloud KMS wrapped it. */
export interface WrappedKey {
  /** Base64. */
  readonly wrapped: string
  /** The version of the key that wrapped it: `projects/…/cryptoKeys/K/cryptoKeyVersions/N`. */
  readonly version: string
}

/** Longer makes every sealed text long; Cloud KMS needs about 115 octets. */
const wrappedLengthMax = 3000

/**
 * Sent with every data key and wanted back with it, so that what another program had wrapped by the same key is none
 * of ours, and none of ours is any good to it. Nothing that an operator may change is in it, such as the issuer's URL:
 * then no record could be opened any more.
 */
const purpose = encodeBase64(new TextEncoder().encode('downscope data key 1'))

const aad = { additionalAuthenticatedData: purpose, additionalAuthenticatedDataCrc32c: checksum(purpose) }

/** Wraps under the primary version of the key. The checksums say that both sides had the same octets. */
export function wrapKey(
  ask: AskKms,
  cryptoKey: string,
  dataKey: Uint8Array<ArrayBuffer>,
): Promise<KmsReply<WrappedKey>> {
  const plaintext = encodeBase64(dataKey)
  return ask({
    method: 'encrypt',
    body: { plaintext, plaintextCrc32c: checksum(plaintext), ...aad },
    read: (answer) => readEncryptAnswer(answer, cryptoKey),
  })
}

/** Which version of the key wrapped it, Cloud KMS knows. */
export function unwrapKey(ask: AskKms, wrapped: string): Promise<KmsReply<Uint8Array<ArrayBuffer>>> {
  return ask({
    method: 'decrypt',
    body: { ciphertext: wrapped, ciphertextCrc32c: checksum(wrapped), ...aad },
    read: readDecryptAnswer,
  })
}

/** Every member by name: https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt */
function readEncryptAnswer(answer: Members, cryptoKey: string): Reading<WrappedKey> {
  const { name, ciphertext, ciphertextCrc32c } = answer
  if (
    answer['verifiedPlaintextCrc32c'] !== true ||
    answer['verifiedAdditionalAuthenticatedDataCrc32c'] !== true
  )
    return fault('does not say that what was sent arrived whole')
  if (typeof name !== 'string' || !isVersionOf(cryptoKey, name)) return fault('names no version of that key')
  if (
    typeof ciphertext !== 'string' ||
    ciphertext.length > wrappedLengthMax ||
    !decodeBase64(ciphertext)?.length
  )
    return fault('has no usable ciphertext')
  if (ciphertextCrc32c !== checksum(ciphertext)) return fault('has a ciphertext of another checksum')
  return { ok: true, value: { wrapped: ciphertext, version: name } }
}

/** Every member by name: https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt */
function readDecryptAnswer({ plaintext, plaintextCrc32c }: Members): Reading<Uint8Array<ArrayBuffer>> {
  const dataKey = typeof plaintext === 'string' ? decodeBase64(plaintext) : undefined
  if (typeof plaintext !== 'string' || dataKey?.length !== dataKeyBytes) return fault('holds no data key')
  if (plaintextCrc32c !== checksum(plaintext)) return fault('has a plaintext of another checksum')
  return { ok: true, value: dataKey }
}

export function isVersionOf(cryptoKey: string, name: string): boolean {
  const start = `${cryptoKey}/cryptoKeyVersions/`
  return name.startsWith(start) && /^\d{1,20}$/.test(name.slice(start.length))
}

/** Of the octets that the base64 stands for; an int64, which is a string in JSON. */
function checksum(base64: string): string {
  return String(crc32c(decodeBase64(base64) ?? new Uint8Array()))
}

function fault(text: string): { readonly ok: false; readonly fault: string } {
  return { ok: false, fault: text }
}
