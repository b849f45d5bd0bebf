import { dataKeyBytes, importDataKey } from '../data-key.ts'
import { keyRingError } from '../key-ring-error.ts'
import type { RingKeys, SealingKey } from '../ring-keys.ts'
import { createAskAgainLater } from './ask-again-later.ts'
import { createAskKms, type AskKmsDeps, type KmsReply } from './ask-kms.ts'
import { createOpenedKeys } from './opened-keys.ts'
import { createProof } from './proof.ts'
import { serveOnMs } from './serve-on.ts'
import { isVersionOf, wrapKey } from './wrap-key.ts'

export interface KmsRingKeysDeps extends AskKmsDeps {
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
  const ask = createAskAgainLater(createAskKms(deps), clock)
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
