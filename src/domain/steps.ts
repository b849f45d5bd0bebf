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
