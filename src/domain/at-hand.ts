/** A value that is mostly there already. To await it nonetheless makes a promise and a turn for nothing. */
export type AtHand<T> = T | Promise<T>

/** Uses the value now if it is there, and else as soon as it is. */
export function useAtHand<T, Result>(value: AtHand<T>, use: (value: T) => AtHand<Result>): AtHand<Result> {
  return value instanceof Promise ? value.then(use) : use(value)
}
