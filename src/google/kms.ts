import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { parseJsonObject, type Members } from '../domain/json.ts'
import { base64Of, decodeBase64 } from '../domain/pem.ts'
import { fault, type Result } from '../domain/result.ts'
import { parseRetryAfter, seconds, type EpochSeconds, type Seconds } from '../domain/time.ts'
import type { HttpAnswer, HttpResult } from '../ports/http-client.ts'
import {
  holdToken,
  jsonRequest,
  quoteGoogleError,
  readGoogleError,
  type AccessToken,
  createSendBriefly,
  type SendBrieflyDeps,
} from './api-request.ts'

/** Reversed, as the register shifts to the right. */
const polynomial = 0x82f63b78

/** CRC-32C (Castagnoli, RFC 9260 appendix A), from 0 to 2^32-1. Bit by bit: it is used for a few hundred octets. */
export function crc32c(octets: Uint8Array): number {
  let crc = 0xffffffff
  for (const octet of octets) {
    crc ^= octet
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? polynomial : 0)
  }
  return ~crc >>> 0
}

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
const purpose = base64Of(new TextEncoder().encode('downscope data key 1'))

const aad = { additionalAuthenticatedData: purpose, additionalAuthenticatedDataCrc32c: checksum(purpose) }

/** Wraps under the primary version of the key. The checksums say that both sides had the same octets. */
export function wrapKey(
  ask: KmsClient,
  cryptoKey: string,
  dataKey: Uint8Array<ArrayBuffer>,
): Promise<KmsReply<WrappedKey>> {
  const plaintext = base64Of(dataKey)
  return ask({
    method: 'encrypt',
    body: { plaintext, plaintextCrc32c: checksum(plaintext), ...aad },
    read: (answer) => readEncryptAnswer(answer, cryptoKey),
  })
}

/** A key of so many bytes; which version of the key wrapped it, Cloud KMS knows. */
export function unwrapKey(
  ask: KmsClient,
  wrapped: string,
  keyBytes: number,
): Promise<KmsReply<Uint8Array<ArrayBuffer>>> {
  return ask({
    method: 'decrypt',
    body: { ciphertext: wrapped, ciphertextCrc32c: checksum(wrapped), ...aad },
    read: (answer) => readDecryptAnswer(answer, keyBytes),
  })
}

/** Every member by name: https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt */
function readEncryptAnswer(answer: Members, cryptoKey: string): Result<WrappedKey> {
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
function readDecryptAnswer(
  { plaintext, plaintextCrc32c }: Members,
  keyBytes: number,
): Result<Uint8Array<ArrayBuffer>> {
  const dataKey = typeof plaintext === 'string' ? decodeBase64(plaintext) : undefined
  if (typeof plaintext !== 'string' || dataKey?.length !== keyBytes) return fault('holds no data key')
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

export interface KmsClientDeps extends SendBrieflyDeps {
  /** `projects/P/locations/L/keyRings/R/cryptoKeys/K` */
  readonly cryptoKey: string
  /** What comes before `/v1/…`. */
  readonly kmsUrl: string
  readonly accessToken: AccessToken
}

export interface KmsRequest<T> {
  readonly method: 'encrypt' | 'decrypt'
  readonly body: Readonly<Record<string, string>>
  /** What the answer says, or what is wrong with it, without a word of it. */
  readonly read: (answer: Members) => Result<T>
}

/** Only a refusal comes from Cloud KMS itself; any other failure may pass, and a key that was unwrapped before stays good. */
export type KmsReply<T> = { readonly ok: true; readonly value: T } | KmsFailure

export interface KmsFailure {
  readonly ok: false
  readonly isRefusal: boolean
  /** `key_ring_unavailable` */
  readonly error: BrokerError
}

export type KmsClient = <T>(call: KmsRequest<T>) => Promise<KmsReply<T>>

/**
 * One call of Cloud KMS's REST API (v1), settled within about two seconds, token included. Both methods may be repeated:
 * it is asked once more at once after passing trouble, and after an answer that came damaged, as Google advises.
 */
export function createKmsClient(deps: KmsClientDeps): KmsClient {
  const { cryptoKey, kmsUrl, accessToken, clock } = deps
  return async ({ method, body, read }) => {
    const what = `${method} with ${cryptoKey}`
    const send = createSendBriefly(deps)
    const judged = (result: HttpResult) => judge(result, { what, read, now: clock.now() })
    try {
      const token = await holdToken(accessToken)
      const request = () =>
        jsonRequest({ url: `${kmsUrl}/v1/${cryptoKey}:${method}`, token: token.current(), json: body })
      const result = await send(request, (came) => {
        const reply = judged(came)
        if (reply.ok) return false
        if (came.kind === 'answer' && came.status === 401) return token.replace()
        return !reply.isRefusal && !wantsWait(came)
      })
      return judged(result)
    } catch (error) {
      // The broker's own identity could not be had.
      if (!isBrokerError(error)) throw error
      return passing(`${what}: ${error.reason}`, error.retryAfter)
    }
  }
}

interface Expected<T> {
  readonly what: string
  readonly read: KmsRequest<T>['read']
  readonly now: EpochSeconds
}

function judge<T>(result: HttpResult, { what, read, now }: Expected<T>): KmsReply<T> {
  if (result.kind === 'failure') return passing(`${what}: ${result.detail}`)
  const { status, header } = result
  if (status === 200) {
    const reading = read(parseJsonObject(result.body) ?? {})
    return reading.ok ? reading : passing(`${what}: the answer ${reading.fault}`)
  }
  const reason = `${what}: Cloud KMS answered ${describe(result)}`
  if (isRefusal(result)) return { ok: false, isRefusal: true, error: unavailable(reason) }
  return passing(reason, parseRetryAfter(header('retry-after'), now))
}

/** A quota is per minute: to ask again at once would only use up more of it. */
function wantsWait(result: HttpResult): boolean {
  return result.kind === 'answer' && (result.status === 429 || result.header('retry-after') !== undefined)
}

/** What came damaged is refused by its checksum, and may come whole the next time. */
function isRefusal({ status, body }: HttpAnswer): boolean {
  const isDamaged = readGoogleError(body)?.message?.startsWith('The checksum in field ') ?? false
  return status >= 400 && status < 500 && status !== 408 && status !== 429 && !isDamaged
}

/** By then it is asked again. */
const retryAfterTrouble = seconds(2)

function passing(reason: string, retryAfter = retryAfterTrouble): KmsFailure {
  return { ok: false, isRefusal: false, error: unavailable(reason, retryAfter) }
}

function unavailable(reason: string, retryAfter?: Seconds): BrokerError {
  return new BrokerError('key_ring_unavailable', { reason, retryAfter })
}

/** Long words are cut: a proxy's error may repeat what was sent (P23). */
function describe({ status, body }: HttpAnswer): string {
  const hint = hints.get(readGoogleError(body)?.status ?? '') ?? ''
  return `${status}${quoteGoogleError(body)}${hint}`
}

const hints: ReadonlyMap<string, string> = new Map([
  [
    'PERMISSION_DENIED',
    "; the broker's identity needs roles/cloudkms.cryptoKeyEncrypterDecrypter on that key",
  ],
  ['FAILED_PRECONDITION', '; the version of the key is disabled or destroyed, or the API is not enabled'],
  ['INVALID_ARGUMENT', '; another key wrapped it, or it was changed'],
])
