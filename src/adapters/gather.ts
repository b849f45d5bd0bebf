/** Work that can be sent together, each item with an outcome of its own. */
export interface GatherDeps<Item, Outcome> {
  /** What may not stand twice in what is sent together. */
  readonly keyOf: (item: Item) => string
  /** One promise for each item, in their order. */
  readonly send: (items: readonly Item[]) => readonly Promise<Outcome>[]
  /** At most this many go together. */
  readonly most: number
  /** How long the first of them waits for others while what was sent before is still out; else it waits a turn. */
  readonly waitMs: number
}

/**
 * Sends together what is asked for at about the same time: what comes in one turn, and under load what comes within a
 * few milliseconds. Nobody waits for more than their own batch. Not for Workers, where no request may share another's
 * work.
 */
export function createGather<Item, Outcome>({
  keyOf,
  send,
  most,
  waitMs,
}: GatherDeps<Item, Outcome>): (item: Item) => Promise<Outcome> {
  let waiting: Waiting<Item, Outcome>[] = []
  let cancel = (): void => {}
  let out = 0

  const flush = (): void => {
    cancel()
    const batch = waiting
    waiting = []
    if (batch.length === 0) return
    out += 1
    const outcomes = send(batch.map(({ item }) => item))
    for (const [index, { resolve, reject }] of batch.entries())
      (outcomes[index] ?? Promise.reject(new Error('an item of a batch has no outcome'))).then(
        resolve,
        reject,
      )
    void Promise.allSettled(outcomes).then(() => {
      out -= 1
    })
  }

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    if (waiting.some((other) => keyOf(other.item) === keyOf(item))) flush()
    waiting.push({ item, resolve, reject })
    if (waiting.length === most) flush()
    else if (waiting.length === 1) cancel = out === 0 ? afterTurn(flush) : after(waitMs, flush)
    return promise
  }
}

function afterTurn(work: () => void): () => void {
  if (typeof setImmediate !== 'function') return after(0, work)
  const immediate = setImmediate(work)
  return () => clearImmediate(immediate)
}

function after(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms)
  return () => clearTimeout(timer)
}

interface Waiting<Item, Outcome> {
  readonly item: Item
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}
