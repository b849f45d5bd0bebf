import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { withDeadline } from '../domain/promises.ts'
import type { Blocks } from '../domain/blocks.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentKey, DocumentStore } from '../ports/document-store.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { Log } from '../ports/log.ts'

/** Whether each thing that requests depend on works; the reason of a fault is only in the log. */
export interface Readiness {
  readonly store: 'ok' | 'fault'
  readonly keyRing: 'ok' | 'fault'
  readonly policy: 'ok' | 'fault'
  /** Whether the service was stopped by hand: the instance is healthy, and serves administrators only. */
  readonly isStopped?: true
}

export interface ReadinessDeps {
  readonly store: Pick<DocumentStore, 'put'>
  readonly keyRing: Pick<KeyRing, 'ping'>
  readonly policy: () => Promise<unknown>
  readonly blocks: () => Blocks | Promise<Blocks>
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  /** False on Workers. */
  readonly sharesWork: boolean
}

/** Orchestrators give up on a probe after a few seconds; this answers earlier. */
const deadlineMs = 2_500
/** Between two writes the last result is repeated, so that frequent probes do not cost a write each. */
const writeEveryMs = 5_000
/** Instances write to different documents, because a store serializes the writes of one document. */
const probesMax = 16
const codes = {
  store: 'store_unavailable',
  'key ring': 'key_ring_unavailable',
  policy: 'policy_unavailable',
} as const

/**
 * Tries key ring and policy now and the store by a write of its own, at most every 5 s; answers within 2.5 s whatever
 * hangs.
 */
export function createReadiness(deps: ReadinessDeps): () => Promise<Readiness> {
  const { keyRing, policy, blocks, clock, log } = deps
  const tryWrite = createWriteProbe(deps)

  const tryOne = async (name: keyof typeof codes, work: () => Promise<unknown>): Promise<'ok' | 'fault'> => {
    const late = () => new BrokerError(codes[name], { reason: `no answer within ${deadlineMs} ms` })
    try {
      await withDeadline(work(), clock.sleep(deadlineMs), late)
      return 'ok'
    } catch (error) {
      if (!isBrokerError(error)) throw error
      log('warn', `not ready: ${name}`, { error })
      return 'fault'
    }
  }

  return async () => {
    let stopped: unknown
    const useStore = async () => {
      await tryWrite()
      stopped = (await blocks()).stopped
    }
    const [storeStatus, keyRingStatus, policyStatus] = await Promise.all([
      tryOne('store', useStore),
      tryOne('key ring', () => keyRing.ping()),
      tryOne('policy', policy),
    ])
    return {
      store: storeStatus,
      keyRing: keyRingStatus,
      policy: policyStatus,
      ...(stopped !== undefined && { isStopped: true }),
    }
  }
}

/** Resolves or throws as the last write of our own did, which is at most 5 s old. */
function createWriteProbe({ store, clock, entropy, sharesWork }: ReadinessDeps): () => Promise<void> {
  let key: DocumentKey | undefined
  let nextMs = -Infinity
  let underWay: Promise<void> | undefined
  let failure: BrokerError | undefined

  const write = async (): Promise<void> => {
    try {
      key ??= `probes/readiness-${Math.floor(entropy.fraction() * probesMax)}`
      await store.put(key, { schema: 1, at: clock.now() })
      failure = undefined
    } catch (error) {
      if (!isBrokerError(error)) throw error
      failure = error
    } finally {
      underWay = undefined
    }
  }

  return async () => {
    if (clock.steadyMs() >= nextMs) {
      nextMs = clock.steadyMs() + writeEveryMs
      underWay = write()
      await underWay
    } else if (sharesWork) await underWay
    if (failure !== undefined) throw failure
  }
}
