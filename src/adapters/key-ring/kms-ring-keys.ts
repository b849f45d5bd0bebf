import { dataKeyBytes, importDataKey, keyRingError, type RingKeys, type SealingKey } from './ring-keys.ts'
import {
  createKmsClient,
  type KmsClientDeps,
  type KmsReply,
  isVersionOf,
  wrapKey,
  type KmsClient,
  unwrapKey,
  type KmsFailure,
} from './kms-client.ts'
import type { CryptoKey } from 'jose'
import { createRecentlyUsed } from '../../domain/recently-used.ts'
import type { Clock } from '../../ports/clock.ts'
import { isBrokerError, type BrokerError } from '../../domain/broker-error.ts'

export interface KmsRingKeysDeps extends KmsClientDeps {
  /** False on Workers. */
  readonly sharesWork: boolean
}

/** So long one data key seals, and so many texts at most. */
const sealsForMs = 3_600_000
const sealsMax = 10_000

interface DataKey extends SealingKey {
  readonly wrapped: string
  readonly madeAtMs: number
}

/**
 * Keys that Cloud KMS wraps (envelope encryption): data keys are made here and wrapped there, and each sealed text
 * carries the wrapped key that opens it. A new version of the key at Google needs nothing here: it wraps the data keys
 * from then on, and Cloud KMS knows which version unwraps the former ones.
 */
export function createKmsRingKeys(deps: KmsRingKeysDeps): RingKeys {
  const { cryptoKey, clock, sharesWork } = deps
  const ask = createAskAgainLater(createKmsClient(deps), clock)
  const opened = createOpenedKeys({ ask, clock, sharesWork })
  let current: DataKey | undefined
  let seals = 0
  let making: Promise<KmsReply<DataKey>> | undefined

  const make = async (): Promise<KmsReply<DataKey>> => {
    const octets = crypto.getRandomValues(new Uint8Array(dataKeyBytes))
    const reply = await wrapKey(ask, cryptoKey, octets)
    if (!reply.ok) {
      if (reply.isRefusal) current = undefined
      return reply
    }
    const { wrapped, version } = reply.value
    const key = await importDataKey(octets)
    octets.fill(0)
    opened.add(wrapped, key)
    current = { kid: version, wrapped, key, madeAtMs: clock.steadyMs() }
    seals = 0
    return { ok: true, value: current }
  }

  const next = (): Promise<KmsReply<DataKey>> => {
    if (!sharesWork) return make()
    making ??= make().finally(() => (making = undefined))
    return making
  }

  const isYoungerThan = (key: DataKey | undefined, ms: number): key is DataKey =>
    key !== undefined && clock.steadyMs() - key.madeAtMs < ms

  const sealing = async (): Promise<DataKey> => {
    if (isYoungerThan(current, sealsForMs) && seals < sealsMax) {
      seals += 1
      return current
    }
    const reply = await next()
    seals += 1
    if (reply.ok) return reply.value
    // Refused, there is none any more.
    if (isYoungerThan(current, serveOnMs)) return current
    throw reply.error
  }

  return {
    sealing,
    opening: ({ kid, wrapped }) => {
      if (!isVersionOf(cryptoKey, kid)) return undefined
      if (wrapped !== undefined) return opened.find(wrapped)
      throw keyRingError(`a text that "${kid}" sealed carries no data key`)
    },
    renew: async () => {
      const reply = await next()
      if (!reply.ok) throw reply.error
      return reply.value.kid
    },
    ping: createProof(async () => {
      await opened.findAnew((await sealing()).wrapped)
    }, clock),
  }
}

export interface OpenedKeysDeps {
  readonly ask: KmsClient
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

function createOpenedKeys({ ask, clock, sharesWork }: OpenedKeysDeps): OpenedKeys {
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

/** As long as the broker's own identity remembers a failure. */
const pauseMs = 2000

/** After trouble that may pass nobody asks for two seconds, and all are told what it was: no herd on what is down. */
function createAskAgainLater(ask: KmsClient, clock: Clock): KmsClient {
  let trouble: { readonly reply: KmsFailure; readonly untilMs: number } | undefined

  return async (call) => {
    if (trouble !== undefined && clock.steadyMs() < trouble.untilMs) return trouble.reply
    const reply = await ask(call)
    const isPassing = !reply.ok && !reply.isRefusal
    trouble = isPassing ? { reply, untilMs: clock.steadyMs() + pauseMs } : undefined
    return reply
  }
}

/**
 * So long a data key that was had serves on while Cloud KMS cannot be asked and has not refused (P20): an outage of
 * half a day costs nobody a token, and a key that was taken away there is of no use here the day after.
 */
const serveOnMs = 12 * 3_600_000

const goodForMs = 60_000
const badForMs = 2000

/** Proves at most once a minute that it works, and after a failure once in two seconds: anybody may ask `/readyz`. */
function createProof(prove: () => Promise<void>, clock: Clock): () => Promise<void> {
  let good = -Infinity
  let bad: { readonly error: BrokerError; readonly atMs: number } | undefined

  return async () => {
    const nowMs = clock.steadyMs()
    if (nowMs - good < goodForMs) return
    if (bad !== undefined && nowMs - bad.atMs < badForMs) throw bad.error
    try {
      await prove()
      good = clock.steadyMs()
    } catch (error) {
      if (isBrokerError(error)) bad = { error, atMs: clock.steadyMs() }
      throw error
    }
  }
}
