/** A value that is mostly there already. To await it nonetheless makes a promise and a turn for nothing. */
export type MaybePromise<T> = T | Promise<T>

/** Uses the value now if it is there, and else as soon as it is. */
export function whenReady<T, Result>(
  value: MaybePromise<T>,
  use: (value: T) => MaybePromise<Result>,
): MaybePromise<Result> {
  return value instanceof Promise ? value.then(use) : use(value)
}

/** What `work` comes to, or the error of `late` when `deadline` passes first. The work itself is not stopped. */
export function withDeadline<T>(work: Promise<T>, deadline: Promise<void>, late: () => Error): Promise<T> {
  const over = deadline.then((): never => {
    throw late()
  })
  return Promise.race([work, over])
}

/** Resolves when the work has ended, whichever way: how it ended is the matter of whoever waits for the work itself. */
export async function settled(work: Promise<unknown>): Promise<void> {
  await Promise.allSettled([work])
}
