import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { inTime } from '../domain/in-time.ts'
import type { Blocks } from '../domain/blocks.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { Log } from '../ports/log.ts'

/** What serving stands on, each in one public word; the reason of a fault is in the log. */
export interface Readiness {
  readonly store: 'ok' | 'fault'
  readonly keyRing: 'ok' | 'fault'
  readonly policy: 'ok' | 'fault'
  /** Whether the service was stopped by hand: the instance is well, and serves administrators only. */
  readonly isStopped?: true
}

export interface ReadinessDeps {
  readonly store: Pick<DocumentStore, 'get'>
  readonly keyRing: Pick<KeyRing, 'ping'>
  readonly policy: () => Promise<unknown>
  readonly blocks: () => Blocks | Promise<Blocks>
  readonly clock: Clock
  readonly log: Log
}

/** A probe of an orchestrator gives up after a few seconds; we say so before. */
const deadlineMs = 2_500
const codes = {
  store: 'store_unavailable',
  'key ring': 'key_ring_unavailable',
  policy: 'policy_unavailable',
} as const

/** Tries store, key ring and policy, now and at the same time; answers within 2.5 s whatever hangs. */
export function createReadiness(deps: ReadinessDeps): () => Promise<Readiness> {
  const { store, keyRing, policy, blocks, clock, log } = deps

  const tryOne = async (name: keyof typeof codes, work: () => Promise<unknown>): Promise<'ok' | 'fault'> => {
    const late = () => new BrokerError(codes[name], { reason: `no answer within ${deadlineMs} ms` })
    try {
      await inTime(work(), clock.sleep(deadlineMs), late)
      return 'ok'
    } catch (error) {
      if (!isBrokerError(error)) throw error
      log('warn', `not ready: ${name}`, { error })
      return 'fault'
    }
  }

  return async () => {
    let isStopped = false
    const readStore = async () => {
      await store.get('probes/readiness')
      isStopped = (await blocks()).stopped !== undefined
    }
    const [storeWord, keyRingWord, policyWord] = await Promise.all([
      tryOne('store', readStore),
      tryOne('key ring', () => keyRing.ping()),
      tryOne('policy', policy),
    ])
    return {
      store: storeWord,
      keyRing: keyRingWord,
      policy: policyWord,
      ...(isStopped ? { isStopped } : {}),
    }
  }
}
