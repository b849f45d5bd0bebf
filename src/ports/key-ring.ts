import type { Secret } from '../domain/secret.ts'

/**
 * Keys that seal what the store holds. Every method that is not synchronous may throw `key_ring_unavailable`: with
 * `retryAfter` where that may pass, without where the text or the right to its key is at fault.
 */
export interface KeyRing {
  /** Seals under the first key. `place` (`COLLECTION/ID#FIELD`) is authenticated with it. */
  seal(plaintext: Secret, place: string): Promise<string>
  /**
   * Opens what any key of the ring sealed at the same `place`. Throws `key_ring_unavailable`, with a reason that
   * tells an unknown key from a text that was changed, moved or sealed by another key of that name.
   */
  open(sealed: string, place: string): Promise<Secret>
  /**
   * The id of the key that the text at `place` says it was sealed with; nothing is opened. Throws
   * `key_ring_unavailable` for what is no sealed text.
   */
  keyIdOf(sealed: string, place: string): string
  /** The id of the key that seals from now on, looked for anew: a KMS may have a newer version than the one in use. */
  renew(): Promise<string>
  /** Throws when the keys could not be reached now, or a moment ago: it may be asked often. */
  ping(): Promise<void>
}
