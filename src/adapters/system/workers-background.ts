import type { Background } from '../../ports/background.ts'
import type { Log } from '../../ports/log.ts'

export interface WorkersBackgroundDeps {
  readonly log: Log
  /** Keeps the request alive that calls it: Workers end what belongs to a request some 30 s after its answer. */
  readonly waitUntil: (work: Promise<unknown>) => void
  readonly runsAfterAnswer: boolean
}

/** Work beside the answers of Workers, each bound to the request that began it; what fails is logged. */
export function createWorkersBackground(deps: WorkersBackgroundDeps): Background {
  const { log, waitUntil, runsAfterAnswer } = deps

  const settle = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      log('error', 'background work failed', { error })
    }
  }

  return { runsAfterAnswer, run: (work) => waitUntil(settle(work)) }
}
