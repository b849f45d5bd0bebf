import type { MintedToken } from '../domain/token.ts'
import { epochSeconds, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'

/** Clocks of instances and upstream may differ by this much without arousing suspicion. */
const tolerance = 60

/**
 * Judges the dates of tokens that somebody else stored, under a wall clock that may jump (P19). A jump forward only
 * makes them look older than they are. After a jump back they would look younger, so none of that time is believed.
 */
export interface TrustedTime {
  believes(token: Pick<MintedToken, 'issuedAt'>): boolean
}

export function createTrustedTime(clock: Clock): TrustedTime {
  const offset = () => clock.now() - clock.steadyMs() / 1000
  let highestOffset = offset()
  let barrier: EpochSeconds = epochSeconds(0)

  const observe = () => {
    const current = offset()
    if (current < highestOffset - tolerance) {
      // What the clock would say had it not been set back: everything issued until then is from before.
      barrier = epochSeconds(highestOffset + clock.steadyMs() / 1000)
      highestOffset = current
    }
    highestOffset = Math.max(highestOffset, current)
  }

  return {
    believes: ({ issuedAt }) => {
      observe()
      return issuedAt >= barrier && issuedAt <= clock.now() + tolerance
    },
  }
}
