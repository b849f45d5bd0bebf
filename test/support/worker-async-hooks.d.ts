/** What Workers have of `node:async_hooks` with the flag `nodejs_als`, as far as it is used. */
export declare class AsyncLocalStorage<T> {
  static bind<F extends (...args: never[]) => unknown>(work: F): F
  run<R>(value: T, work: () => R): R
  exit<R>(work: () => R): R
  getStore(): T | undefined
}
