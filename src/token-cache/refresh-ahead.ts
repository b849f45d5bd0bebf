import { isBrokerError } from '../domain/broker-error.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { TokenKey } from '../records/tokens.ts'
import type { MemoryToken } from './memory-tokens.ts'
import type { Obtain, Obtained, WantedToken } from './obtain.ts'

/** Looks for the successor of a token that is due, while the token itself is served. */
export interface RefreshAhead {
  /** Resolves at once where there is CPU after the answer; elsewhere with the successor, if this look found one. */
  look(want: DueToken, held: MemoryToken): Promise<Obtained | undefined>
}

export interface DueToken extends Omit<WantedToken, 'key'> {
  readonly keyOf: (identity: string) => Promise<TokenKey>
}

export interface RefreshAheadDeps {
  readonly background: Background
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
}

/** Who finds another instance minting looks again after 2 to 6 s. */
const pauseMsMin = 2_000
const pauseMsMax = 6_000

export function createRefreshAhead(deps: RefreshAheadDeps, obtain: Obtain): RefreshAhead {
  const { background, clock, entropy, log } = deps
  // Dies with the memory entry it belongs to.
  const nextLookMs = new WeakMap<MemoryToken, number>()

  const lookOnce = async ({ keyOf, ...want }: DueToken, held: MemoryToken) => {
    try {
      return await obtain.ahead({ ...want, key: await keyOf(want.identity) }, held)
    } catch (error) {
      if (!isBrokerError(error)) throw error
      log('warn', 'refresh ahead failed; the token in memory is served on', { error })
      return undefined
    }
  }

  return {
    look: async (want, held) => {
      const now = clock.steadyMs()
      if (now < (nextLookMs.get(held) ?? 0)) return undefined
      nextLookMs.set(held, now + pauseMsMin + entropy.fraction() * (pauseMsMax - pauseMsMin))
      const looked = lookOnce(want, held)
      // Finished also when the caller has hung up, whether the answer waits for it or not (P16).
      background.run(async () => {
        await looked
      })
      return background.runsAfterAnswer ? undefined : looked
    },
  }
}
