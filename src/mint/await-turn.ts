import { BrokerError } from '../domain/broker-error.ts'
import { seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { RefreshTurn, RefreshTurns, WantedTurn } from '../records/refresh-turns.ts'

const waitMsMax = 3000
/** Upstream and store still need this much of the deadline. */
const leftForTheRestMs = 1000
/** Turns are short: only behind a crash does one last to the end of its lease, and asking again then costs little. */
const retryAfterMax = seconds(2)
const pollMsMin = 50
const pollMsMax = 500

export interface AwaitTurnDeps {
  readonly refreshTurns: RefreshTurns
  readonly clock: Clock
  readonly entropy: Entropy
  /** Throws when this instance must not refresh the credential now. */
  readonly settleOwed: (name: string) => Promise<void>
}

export interface AwaitTurnFor extends WantedTurn {
  /** By the steady clock. */
  readonly deadlineMs: number
}

/**
 * The turn to refresh this credential, after at most 3 s of jittered polls; `lease_busy` when others kept it. Throws
 * what `begin` and `settleOwed` throw.
 */
export async function awaitTurn(
  { refreshTurns, clock, entropy, settleOwed }: AwaitTurnDeps,
  { deadlineMs, ...wanted }: AwaitTurnFor,
): Promise<RefreshTurn> {
  const { name } = wanted
  const untilMs = Math.min(clock.steadyMs() + waitMsMax, deadlineMs - leftForTheRestMs)
  for (let poll = 0; ; poll += 1) {
    await settleOwed(name)
    const turn = await refreshTurns.begin(wanted)
    if (turn.held) return turn
    const pauseMs = Math.min(pollMsMax, pollMsMin * 2 ** poll) * (0.5 + entropy.fraction() / 2)
    if (clock.steadyMs() + pauseMs > untilMs)
      throw new BrokerError('lease_busy', {
        reason: `credential ${name} is being refreshed by another request`,
        retryAfter: seconds(Math.min(retryAfterMax, turn.retryAfter)),
      })
    await clock.sleep(pauseMs)
  }
}
