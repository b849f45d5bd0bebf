import type { CryptoKey } from 'jose'
import type { Reading } from '../../domain/result.ts'
import { Secret } from '../../domain/secret.ts'
import { decodeBase64 } from '../../domain/pem.ts'
import { importDataKey, type RingKeys, dataKeyBytes } from './key-ring.ts'

/**
 * Keys that are in this process: the first seals, all open. Throws TypeError for no key at all or one that is not 256
 * bits, both of which `parseLocalKeys` refuses.
 */
export function createLocalRingKeys(keys: readonly LocalKey[]): RingKeys {
  const ring = new Map(keys.map(({ kid, key }) => [kid, createKey(kid, key)]))
  const [first] = keys
  if (first === undefined) throw new TypeError('a key ring needs a key')
  const { kid } = first
  const firstKey = createKey(kid, first.key)

  return {
    sealing: async () => ({ kid, key: await firstKey() }),
    opening: (name) => ring.get(name.kid)?.(),
    renew: () => Promise.resolve(kid),
    // There is nothing to reach.
    ping: () => Promise.resolve(),
  }
}

/** Imports the key at its first use. The result is kept, not the promise: Workers must not share those. */
function createKey(kid: string, key: Secret): () => Promise<CryptoKey> {
  const octets = decodeLocalKey(key)
  if (octets === undefined) throw new TypeError(`key "${kid}" is not 256 bits in base64`)
  let imported: CryptoKey | undefined
  return async () => {
    imported ??= await importDataKey(octets)
    return imported
  }
}

/** A key of the local ring: its name, and 256 bits in base64. */
export interface LocalKey {
  readonly kid: string
  readonly key: Secret
}

// Shorter than any 256-bit key as text: an entry written the wrong way round is never printed as a name.
export const kidPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/

/**
 * Reads `KID:BASE64,KID:BASE64`; the first key seals. White space around an entry is nothing, a secret file's last
 * newline included. Every fault is found at once, and names the position and the kid, never the key.
 */
export function parseLocalKeys(text: string): Reading<readonly LocalKey[]> {
  if (text.trim() === '') return { ok: false, faults: ['there is no key'] }
  const entries = text.split(',').map((entry) => readEntry(entry.trim()))
  const kids = new Set<string>()
  const faults = entries.flatMap((entry, index) => {
    const isRepeated = entry.kid !== undefined && kids.has(entry.kid)
    if (entry.kid !== undefined) kids.add(entry.kid)
    const fault = isRepeated ? 'has the name of an earlier key' : entry.fault
    const name = entry.kid === undefined ? '' : ` (${entry.kid})`
    return fault === undefined ? [] : [`key ${index + 1}${name} ${fault}`]
  })
  if (faults.length > 0) return { ok: false, faults }
  return { ok: true, value: entries.flatMap(({ kid, key }) => (kid && key ? [{ kid, key }] : [])) }
}

/** The 32 octets of a key, or `undefined` when it is none. */
export function decodeLocalKey(key: Secret): Uint8Array<ArrayBuffer> | undefined {
  const octets = decodeBase64(key.reveal())
  return octets?.length === dataKeyBytes ? octets : undefined
}

interface Entry {
  readonly kid?: string
  readonly key?: Secret
  readonly fault?: string
}

function readEntry(entry: string): Entry {
  if (entry === '') return { fault: 'is empty' }
  const colon = entry.indexOf(':')
  if (colon === -1) return { fault: 'has no ":" between its name and its key' }
  const kid = entry.slice(0, colon)
  if (!kidPattern.test(kid))
    return {
      fault: 'has a name that is not 1 to 32 letters, digits, "_", "." or "-", or name and key are swapped',
    }
  const key = entry.slice(colon + 1)
  if (key === '') return { kid, fault: 'has an empty key' }
  const octets = decodeBase64(key)
  if (octets === undefined) return { kid, fault: 'is not base64 (RFC 4648 §4, with its padding)' }
  if (octets.length !== dataKeyBytes)
    return { kid, fault: `has ${octets.length} bytes instead of ${dataKeyBytes}` }
  return { kid, key: new Secret(key) }
}
