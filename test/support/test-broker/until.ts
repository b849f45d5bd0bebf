import { setTimeout as wait } from 'node:timers/promises'

/** No test depends on how busy the machine is: only what never happens takes this long. */
const defaultMs = 60_000

export interface Patience {
  readonly ms?: number
  readonly pauseMs?: number
}

/** What `look` finds, as soon as it finds something; throws with `what` and the last error after the deadline. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { ms = defaultMs, pauseMs = 25 }: Patience = {},
): Promise<T> {
  const deadline = performance.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await wait(pauseMs)
  }
}
