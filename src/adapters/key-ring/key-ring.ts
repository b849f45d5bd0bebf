import type { CryptoKey } from 'jose'

import { Secret } from '../../domain/secret.ts'
import type { KeyRing } from '../../ports/key-ring.ts'
import { keyRingError } from './key-ring-error.ts'
import type { KeyName, RingKeys } from './ring-keys.ts'
import { openText, parseSealed, sealText } from './sealed-text.ts'

/** A key ring of keys of several kinds: the first kind seals, all open. So a store can move from one to another. */
export function createKeyRing(parts: readonly [RingKeys, ...RingKeys[]]): KeyRing {
  const [first] = parts

  const keyOf = (name: KeyName, place: string): Promise<CryptoKey> => {
    for (const part of parts) {
      const key = part.opening(name)
      if (key !== undefined) return key
    }
    throw keyRingError(`there is no key "${name.kid}" in the ring to open ${place} with`)
  }

  const seal = async (plaintext: Secret, place: string): Promise<string> =>
    sealText(await first.sealing(), plaintext, place)

  const open = async (sealed: string, place: string): Promise<Secret> => {
    const text = parseSealed(sealed, place)
    return openText(text, await keyOf(text, place), place)
  }

  return {
    seal,
    open,
    keyIdOf: (sealed, place) => parseSealed(sealed, place).kid,
    renew: first.renew,
    ping: async () => {
      await Promise.all(parts.map((part) => part.ping()))
      await open(await seal(new Secret('ping'), 'ping'), 'ping')
    },
  }
}
