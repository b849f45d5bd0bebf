/** Work that can be sent together, each item with an outcome of its own. */
export interface GatherDeps<Item, Outcome> {
  /** What may not stand twice in what is sent together. */
  readonly keyOf: (item: Item) => string
  /** One promise for each item, in their order. */
  readonly send: (items: readonly Item[]) => readonly Promise<Outcome>[]
  /** At most this many go together. */
  readonly most: number
  /** How long the first of them waits for others, at most until what was sent before is answered; else it waits a turn. */
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
  let waiting = new Map<string, Waiting<Item, Outcome>>()
  let cancel = (): void => {}
  let out = 0

  const flush = (): void => {
    cancel()
    const batch = [...waiting.values()]
    waiting = new Map()
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
      if (out === 0) flush()
    })
  }

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    const key = keyOf(item)
    if (waiting.has(key)) flush()
    waiting.set(key, { item, resolve, reject })
    if (waiting.size === most) flush()
    else if (waiting.size === 1) cancel = out === 0 ? afterTurn(flush) : after(waitMs, flush)
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
