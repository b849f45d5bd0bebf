import { dataKeyBytes, importDataKey, keyRingError, type RingKeys, type SealingKey } from './key-ring.ts'
import {
  createKmsClient,
  type KmsClientDeps,
  isVersionOf,
  wrapKey,
  type KmsClient,
  unwrapKey,
  type KmsFailure,
} from '../../google/kms.ts'
import type { CryptoKey } from 'jose'
import { createRecentlyUsed } from '../../domain/recently-used.ts'
import type { Clock } from '../../ports/clock.ts'
import {
  byAge,
  createRefreshingValue,
  type RefreshingDeps,
  type RefreshingValue,
} from '../../domain/refreshing-value.ts'

export interface KmsRingKeysDeps extends KmsClientDeps, RefreshingDeps {
  readonly clock: Clock
}

/**
 * How long an unwrapped data key is used while Cloud KMS is unavailable and has not refused (P20): an outage of half a
 * day costs no caller a token, and a key that was destroyed there is of no use here the day after.
 */
const staleMs = 12 * 3_600_000
/** How long one data key seals, and how soon a permission that was withdrawn at Google takes effect here. */
const ofAge = byAge({ freshMs: 3_600_000, staleMs })
/** How many texts one data key seals at most. */
const sealsMax = 10_000
/** Each instance makes a data key an hour, and another after `sealsMax` texts. */
const heldMax = 1000

interface DataKey extends SealingKey {
  readonly wrapped: string
}

/**
 * Keys that Cloud KMS wraps (envelope encryption): data keys are made here and wrapped there, and each sealed text
 * carries the wrapped key that opens it. A new version of the key at Google needs nothing here: it wraps the data keys
 * from then on, and Cloud KMS knows which version unwraps the former ones. A key that Cloud KMS refuses is dropped.
 */
export function createKmsRingKeys(deps: KmsRingKeysDeps): RingKeys {
  const { cryptoKey, clock, sharesWork } = deps
  const ask = pauseAfterFailure(createKmsClient(deps), clock)
  const opened = createRecentlyUsed<RefreshingValue<CryptoKey>>({ sizeMax: heldMax })
  let seals = 0

  const openedAt = (wrapped: string): RefreshingValue<CryptoKey> => {
    const known = opened.get(wrapped)
    if (known !== undefined) return known
    const key = createRefreshingValue({ clock, sharesWork, freshness: ofAge, read: () => unwrap(wrapped) })
    opened.set(wrapped, key)
    return key
  }

  const unwrap = async (wrapped: string): Promise<CryptoKey> => {
    const reply = await unwrapKey(ask, wrapped, dataKeyBytes)
    if (!reply.ok) {
      if (reply.isRefusal) openedAt(wrapped).drop()
      throw reply.error
    }
    const key = await importDataKey(reply.value)
    reply.value.fill(0)
    return key
  }

  const make = async (): Promise<DataKey> => {
    const octets = crypto.getRandomValues(new Uint8Array(dataKeyBytes))
    const reply = await wrapKey(ask, cryptoKey, octets)
    if (!reply.ok) {
      if (reply.isRefusal) dataKey.drop()
      throw reply.error
    }
    const { wrapped, version } = reply.value
    const key = await importDataKey(octets)
    octets.fill(0)
    openedAt(wrapped).set(key)
    seals = 0
    return { kid: version, wrapped, key }
  }

  const dataKey: RefreshingValue<DataKey> = createRefreshingValue({
    clock,
    sharesWork,
    read: make,
    freshness: (ageMs) => {
      const state = ofAge(ageMs)
      return state === 'fresh' && seals >= sealsMax ? 'stale' : state
    },
  })

  const sealing = async (): Promise<DataKey> => {
    const key = await dataKey.current()
    seals += 1
    return key
  }

  const proof = createRefreshingValue({
    clock,
    sharesWork,
    ...proofBounds,
    read: async () => {
      await openedAt((await sealing()).wrapped).refresh()
    },
  })

  return {
    sealing,
    opening: ({ kid, wrapped }) => {
      if (!isVersionOf(cryptoKey, kid)) return undefined
      if (wrapped !== undefined) return Promise.resolve(openedAt(wrapped).current())
      throw keyRingError(`a text that "${kid}" sealed carries no data key`)
    },
    renew: async () => (await dataKey.refresh()).kid,
    ping: async () => proof.current(),
  }
}

/** At most one check a minute, and after a failure one in two seconds: `/readyz` is public. */
const proofBounds = {
  freshness: byAge({ freshMs: 60_000, staleMs: 0 }),
  pauseMs: 2000,
  remembersFailure: true,
}

/** As long as the broker's own identity remembers a failure. */
const pauseMs = 2000

/** After a failure that may pass, every call gets that failure for two seconds: no thundering herd. */
function pauseAfterFailure(ask: KmsClient, clock: Clock): KmsClient {
  let failure: { readonly reply: KmsFailure; readonly untilMs: number } | undefined

  return async (call) => {
    if (failure !== undefined && clock.steadyMs() < failure.untilMs) return failure.reply
    const reply = await ask(call)
    const isPassing = !reply.ok && !reply.isRefusal
    failure = isPassing ? { reply, untilMs: clock.steadyMs() + pauseMs } : undefined
    return reply
  }
}
