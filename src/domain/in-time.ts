/** What `work` comes to, or the error of `late` when `deadline` passes first. The work itself is not stopped. */
export function inTime<T>(work: Promise<T>, deadline: Promise<void>, late: () => Error): Promise<T> {
  const over = deadline.then((): never => {
    throw late()
  })
  return Promise.race([work, over])
}
