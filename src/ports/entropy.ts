/** Randomness and digests, as the platform gives them. */
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
