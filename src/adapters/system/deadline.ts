/** A timer that is later than this was held up: the process was paused, or a turn of its loop took long. */
const heldUpMs = 250
/** For what came meanwhile, and for what the network sends again after a laptop's lid was closed. */
const secondLookMs = 1_000

/**
 * Calls `over` once `ms` have passed, unless it is stopped before. A timer that is due comes before the answer that
 * lies in the socket, so the sockets are looked at once more first: for one turn of the event loop, and for a second
 * when the timer itself is late. Returns how to stop it.
 */
export function startDeadline(ms: number, over: () => void): () => void {
  const dueMs = performance.now() + ms
  const look = (): void => {
    const isHeldUp = performance.now() - dueMs > heldUpMs
    timer = setTimeout(over, isHeldUp ? secondLookMs : 0)
  }
  let timer = setTimeout(look, ms)
  return () => clearTimeout(timer)
}
