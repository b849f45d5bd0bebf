import type { Secret } from '../domain/secret.ts'

/** Keys that seal what the store holds. */
export interface KeyRing {
  /** Seals under the first key. `place` (`COLLECTION/ID#FIELD`) is authenticated with it. */
  seal(plaintext: Secret, place: string): Promise<string>
  /**
   * Opens what any key of the ring sealed at the same `place`. Throws `key_ring_unavailable`, with a reason that
   * tells an unknown key from a text that was changed, moved or sealed by another key of that name.
   */
  open(sealed: string, place: string): Promise<Secret>
  /** Throws `key_ring_unavailable` when nothing could be sealed or opened now. */
  ping(): Promise<void>
}
