export interface InFlight {
  readonly track: <T>(work: () => Promise<T>) => Promise<T>
  /** Resolves when all that was tracked until now has settled. Never rejects. */
  readonly settled: () => Promise<void>
}

/** Work begun and not settled: a client terminated under it ends the process with an unhandled rejection. */
export function createInFlight(): InFlight {
  const running = new Set<Promise<unknown>>()
  return {
    track: async (work) => {
      const promise = work()
      running.add(promise)
      try {
        return await promise
      } finally {
        running.delete(promise)
      }
    },
    settled: async () => {
      await Promise.allSettled(running)
    },
  }
}
