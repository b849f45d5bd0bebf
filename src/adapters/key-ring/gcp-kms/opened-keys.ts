import type { CryptoKey } from 'jose'
import { createRecentlyUsed } from '../../../domain/recently-used.ts'
import type { Clock } from '../../../ports/clock.ts'
import { importDataKey } from '../data-key.ts'
import type { AskKms } from './ask-kms.ts'
import { serveOnMs } from './serve-on.ts'
import { unwrapKey } from './wrap-key.ts'

export interface OpenedKeysDeps {
  readonly ask: AskKms
  readonly clock: Clock
  /** False on Workers. */
  readonly sharesWork: boolean
}

/** The data keys that this instance has unwrapped, by their wrapped form. */
export interface OpenedKeys {
  /** From memory while it is fresh there, else from Cloud KMS. Throws `key_ring_unavailable`. */
  find(wrapped: string): Promise<CryptoKey>
  /** From Cloud KMS alone. */
  findAnew(wrapped: string): Promise<CryptoKey>
  /** One that was made here. */
  add(wrapped: string, key: CryptoKey): void
}

/** So soon a right that was withdrawn at Google is felt here. */
const freshMs = 3_600_000
/** Each instance makes a data key an hour, and one in so many texts. */
const heldMax = 1000

interface Held {
  readonly key: CryptoKey
  readonly hadAtMs: number
}

export function createOpenedKeys({ ask, clock, sharesWork }: OpenedKeysDeps): OpenedKeys {
  const held = createRecentlyUsed<Held>({ sizeMax: heldMax })
  const underWay = new Map<string, Promise<CryptoKey>>()

  const isWithin = (former: Held | undefined, ms: number): former is Held =>
    former !== undefined && clock.steadyMs() - former.hadAtMs < ms

  const add = (wrapped: string, key: CryptoKey): void => {
    held.set(wrapped, { key, hadAtMs: clock.steadyMs() })
  }

  const findAnew = async (wrapped: string): Promise<CryptoKey> => {
    const reply = await unwrapKey(ask, wrapped)
    if (!reply.ok) {
      if (reply.isRefusal) held.delete(wrapped)
      throw reply.error
    }
    const key = await importDataKey(reply.value)
    reply.value.fill(0)
    add(wrapped, key)
    return key
  }

  const findOnce = (wrapped: string): Promise<CryptoKey> => {
    if (!sharesWork) return findAnew(wrapped)
    const running = underWay.get(wrapped) ?? findAnew(wrapped).finally(() => underWay.delete(wrapped))
    underWay.set(wrapped, running)
    return running
  }

  return {
    find: async (wrapped) => {
      const former = held.get(wrapped)
      if (isWithin(former, freshMs)) return former.key
      try {
        return await findOnce(wrapped)
      } catch (error) {
        // Refused, it is not held any more.
        const left = held.get(wrapped)
        if (isWithin(left, serveOnMs)) return left.key
        throw error
      }
    },
    findAnew,
    add,
  }
}
