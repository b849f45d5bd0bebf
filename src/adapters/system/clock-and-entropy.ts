import { epochSeconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Encrypt, Entropy } from '../../ports/entropy.ts'

// The longest delay that setTimeout takes; a longer one would fire at once.
const timerMaxMs = 2 ** 31 - 1

/** The platform's own clock: `Date` for the wall, `performance` for steady time. */
export function createSystemClock(): Clock {
  return {
    now: () => epochSeconds(Math.floor(Date.now() / 1000)),
    steadyMs: () => performance.now(),
    sleep: (ms) => new Promise((wake) => setTimeout(wake, Math.min(ms, timerMaxMs))),
  }
}

/** The platform's randomness, in Node and in workerd. */
export function createEntropy(): Entropy {
  return {
    uuid: () => crypto.randomUUID(),
    octets: (count) => crypto.getRandomValues(new Uint8Array(count)),
    fraction: () => Math.random(),
  }
}

const digits = new TextEncoder().encode('0123456789abcdef')
const encoder = new TextEncoder()

/** SHA-256 by WebCrypto: on Workers the fastest there is, on Node the slowest. */
export async function webSha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', encoder.encode(text))
  // One text at once: what is appended to piece by piece is a tree of pieces, which the next reader flattens.
  const codes: number[] = []
  for (const octet of new Uint8Array(digest)) codes.push(digits[octet >> 4] ?? 0, digits[octet & 15] ?? 0)
  return String.fromCharCode(...codes)
}

/** AES-GCM by WebCrypto, which lets nobody get the key out again. */
export async function importWebAesGcmKey(octets: Uint8Array<ArrayBuffer>): Promise<Encrypt> {
  const key = await crypto.subtle.importKey('raw', octets, 'AES-GCM', false, ['encrypt'])
  return async (iv, plaintext) =>
    new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, plaintext))
}
