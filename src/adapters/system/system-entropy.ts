import type { Entropy } from '../../ports/entropy.ts'

/** The platform's randomness, in Node and in workerd. */
export function createEntropy(): Entropy {
  return {
    uuid: () => crypto.randomUUID(),
    fraction: () => Math.random(),
  }
}
