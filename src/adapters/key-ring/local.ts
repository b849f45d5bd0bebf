import type { CryptoKey } from 'jose'

import type { Secret } from '../../domain/secret.ts'
import { importDataKey } from './data-key.ts'
import { decodeLocalKey, type LocalKey } from './local-keys.ts'
import type { RingKeys } from './ring-keys.ts'

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
