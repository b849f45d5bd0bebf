import { encodeBase64 } from '../adapters/key-ring/base64.ts'
import { kidPattern } from '../adapters/key-ring/local-keys.ts'

/** Whether the ring takes a key of that name. */
export function isSealingKeyName(name: string): boolean {
  return kidPattern.test(name)
}

/** A key as DOWNSCOPE_KEYS takes it: 256 bits, by default under a name that sorts by age, to the second. */
export function newSealingKey(name = nameOfNow()): string {
  return `${name}:${encodeBase64(crypto.getRandomValues(new Uint8Array(32)))}`
}

function nameOfNow(): string {
  const [day = '', time = ''] = new Date().toISOString().split('T')
  return `k${day.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}`
}
