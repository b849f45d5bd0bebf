import type { Entropy, Sha256 } from '../../src/ports/entropy.ts'

/** Entropy without surprise: uuids count up, and the fraction is what the test says. */
export function createSequence(fraction = 0.5): Entropy & { nextFraction: number } {
  let count = 0
  const sequence = {
    nextFraction: fraction,
    uuid: () => {
      count += 1
      return `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`
    },
    octets: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
    fraction: () => sequence.nextFraction,
  }
  return sequence
}

/** SHA-256 by Web Crypto, as every runtime has it. */
export const webSha256: Sha256 = async (text) => {
  const octets = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, '0')).join('')
}

/**
 * 64 hex digits that depend on the whole text, at once: Web Crypto answers from another thread, at a moment that a
 * clock standing still cannot wait for. Not SHA-256, and good for nothing but telling texts apart.
 */
export const quickDigest = (text: string): string => {
  const lanes = [
    0x811c9dc5, 0x01000193, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f, 0x165667b1, 0xd3a2646c,
  ]
  for (let index = 0; index < text.length; index += 1)
    for (let lane = 0; lane < lanes.length; lane += 1)
      lanes[lane] = Math.imul((lanes[lane] ?? 0) ^ (text.charCodeAt(index) + lane), 0x01000193) >>> 0
  return lanes.map((lane) => lane.toString(16).padStart(8, '0')).join('')
}
