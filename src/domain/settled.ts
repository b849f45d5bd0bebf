/** Resolves when the work has ended, whichever way: how it ended is the matter of whoever waits for the work itself. */
export async function settled(work: Promise<unknown>): Promise<void> {
  await Promise.allSettled([work])
}
