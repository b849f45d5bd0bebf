/** A value that may be there already: it is awaited all the same, which costs 0.06 µs. */
export type MaybePromise<T> = T | Promise<T>

/** What `work` comes to, or the error of `late` when `deadline` passes first. The work itself is not stopped. */
export function withDeadline<T>(work: Promise<T>, deadline: Promise<void>, late: () => Error): Promise<T> {
  const over = deadline.then((): never => {
    throw late()
  })
  return Promise.race([work, over])
}

/** Resolves when the work has ended, even if it failed: its failure belongs to whoever awaits the work itself. */
export function settled(work: Promise<unknown>): Promise<void> {
  const end = (): void => undefined
  return work.then(end, end)
}

/** Long work that can be left off between any two of its steps, so that others have their turn. */
export type Steps<Result> = Generator<void, Result, void>

export function runAtOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** `pause` lets everything else that waits have its turn. */
export async function runInTurns<Result>(steps: Steps<Result>, pause: () => Promise<void>): Promise<Result> {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    await pause()
  }
}

/** Does `work` for each of them, so many at the same time. Once one has failed, those begun with it end, and no more begin. */
export async function inBatches<T, Done>(
  all: readonly T[],
  size: number,
  work: (one: T) => Promise<Done>,
): Promise<readonly Done[]> {
  const done: Done[] = []
  for (let from = 0; from < all.length; from += size) {
    for (const settled of await Promise.allSettled(all.slice(from, from + size).map(work))) {
      if (settled.status === 'rejected') throw settled.reason
      done.push(settled.value)
    }
  }
  return done
}
