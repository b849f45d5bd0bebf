import type { MaybePromise } from '../domain/promises.ts'

/** Randomness, digests and encryption, as the platform gives them. */
export interface Entropy {
  /** A random UUID (RFC 9562 version 4). */
  uuid(): string
  /** Random octets. */
  octets(count: number): Uint8Array<ArrayBuffer>
  /** Uniform in [0, 1); for jitter only. */
  fraction(): number
}

/** SHA-256 of the text's UTF-8 octets, in lower-case hex. Synchronous where the platform can. */
export type Sha256 = (text: string) => string | Promise<string>

type Octets = Uint8Array<ArrayBuffer>

/**
 * Encrypts by AES-GCM under one key, without associated data: the ciphertext and its tag of 16 octets. The nonce has 12
 * octets and is never the same twice under one key. Synchronous where the platform can.
 */
export type Encrypt = (nonce: Octets, plaintext: Octets) => MaybePromise<Octets>

/** A key of 16 or 32 octets as what encrypts under it; nobody gets the key out of it again. */
export type ImportAesGcmKey = (key: Octets) => MaybePromise<Encrypt>
