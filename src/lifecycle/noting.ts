import { isBrokerError } from '../domain/broker-error.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'

const pauseMs = 30_000

export interface NotingDeps {
  readonly background: Background
  readonly clock: Pick<Clock, 'steadyMs'>
  readonly log: Log
}

/** What is logged of a note that was not taken, besides why. */
export interface Complaint {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What requests leave behind in the store beside their answers: it may fail, and then it is nobody's failure. */
export interface Noting {
  isPaused(): boolean
  /** Never rejects; `undefined` when there is nothing to wait for. */
  start(write: () => Promise<void>, complaint: Complaint): Promise<void> | undefined
}

/**
 * A store that is down holds up one request in half a minute, whatever there is to note: after a failure all notes
 * pause, and then one at a time tries until one is taken.
 */
export function createNoting({ background, clock, log }: NotingDeps): Noting {
  /** By the steady clock; `undefined` while the store takes what it is given. */
  let notBeforeMs: number | undefined
  const pause = () => {
    notBeforeMs = clock.steadyMs() + pauseMs
  }

  return {
    isPaused: () => notBeforeMs !== undefined && clock.steadyMs() < notBeforeMs,
    start: (write, { message, fields }) => {
      if (notBeforeMs !== undefined) pause()
      const work = async () => {
        try {
          await write()
          notBeforeMs = undefined
        } catch (error) {
          pause()
          if (!isBrokerError(error)) throw error
          log('warn', message, { ...fields, reason: error.reason })
        }
      }
      if (!background.runsAfterAnswer) return work()
      background.run(work)
      return undefined
    },
  }
}
