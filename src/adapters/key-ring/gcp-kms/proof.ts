import { isBrokerError, type BrokerError } from '../../../domain/broker-error.ts'
import type { Clock } from '../../../ports/clock.ts'

const goodForMs = 60_000
const badForMs = 2000

/** Proves at most once a minute that it works, and after a failure once in two seconds: anybody may ask `/readyz`. */
export function createProof(prove: () => Promise<void>, clock: Clock): () => Promise<void> {
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
