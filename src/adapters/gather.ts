/** Requests that can be sent as one batch, each with an outcome of its own. */
export interface GatherDeps<Item, Outcome> {
  /** Two items of one key never go into the same batch. */
  readonly keyOf: (item: Item) => string
  /** One promise for each item, in their order. */
  readonly send: (items: readonly Item[]) => readonly Promise<Outcome>[]
  /** The largest batch. */
  readonly most: number
  /** How long a batch waits for more items while another is under way, at most until that is answered; else for the end of the turn. */
  readonly waitMs: number
}

/**
 * Batches requests that come in one turn of the event loop, and under load those of a few milliseconds. No request
 * waits for more than its own batch. Not for Workers, where no request may share another's work.
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
