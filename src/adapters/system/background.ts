import type { Background } from '../../ports/background.ts'
import type { Log } from '../../ports/log.ts'

export interface NodeBackground extends Background {
  /** Waits at most `deadlineMs` for all running work, what it starts meanwhile included; how much was abandoned. */
  drain(deadlineMs: number): Promise<number>
}

/** Work beside the answers of one Node process; what fails is logged and nothing else. */
export function createNodeBackground(deps: {
  readonly log: Log
  readonly runsAfterAnswer: boolean
}): NodeBackground {
  const running = new Set<Promise<void>>()

  const settle = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      deps.log('error', 'background work failed', { error })
    }
  }

  return {
    runsAfterAnswer: deps.runsAfterAnswer,
    run: (work) => {
      const task = settle(work)
      running.add(task)
      void task.then(() => running.delete(task))
    },
    drain: async (deadlineMs) => {
      const deadline = Promise.withResolvers<void>()
      let isOver = false
      const timer = setTimeout(() => {
        isOver = true
        deadline.resolve()
      }, deadlineMs)
      while (running.size > 0 && !isOver) await Promise.race([...running, deadline.promise])
      clearTimeout(timer)
      return running.size
    },
  }
}

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
