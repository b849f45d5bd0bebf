/** `cancel` makes `over` stay pending, and lets a process end. */
export interface Wait {
  readonly over: Promise<void>
  readonly cancel: () => void
}

/** What the client takes from the platform it runs on; a test brings its own. */
export interface Runtime {
  readonly fetch: typeof fetch
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds of a clock that nobody sets. */
  readonly steady: () => number
  /** From 0 to 1. */
  readonly random: () => number
  readonly wait: (ms: number) => Wait
  /** Workers: a promise of one request must not be awaited by another, and nothing runs on after the answer. */
  readonly isolatesRequests: boolean
}

export const platformRuntime: Runtime = {
  fetch: (input, init) => fetch(input, init),
  now: () => Date.now(),
  steady: () => performance.now(),
  random: () => Math.random(),
  wait: (ms) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
    return { over, cancel: () => clearTimeout(timer) }
  },
  isolatesRequests: globalThis.navigator?.userAgent === 'Cloudflare-Workers',
}
