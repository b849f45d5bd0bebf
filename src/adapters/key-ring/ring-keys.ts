import type { CryptoKey } from 'jose'
import { BrokerError } from '../../domain/broker-error.ts'
import type { Seconds } from '../../domain/time.ts'

/** What a sealed text says of the key that sealed it. */
export interface KeyName {
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
export function keyRingError(
  reason: string,
  { cause, retryAfter }: { readonly cause?: unknown; readonly retryAfter?: Seconds } = {},
): BrokerError {
  const wait = retryAfter === undefined ? {} : { retryAfter }
  return new BrokerError('key_ring_unavailable', { reason, cause, ...wait })
}
