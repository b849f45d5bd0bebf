/** Where an unplanned error arose, and nothing of what it says: its message may hold a secret (P23). */
export interface BugLocation {
  readonly kind: string
  readonly frames: readonly string[]
}

const framesMax = 12

export function locateBug(error: unknown): BugLocation {
  if (!(error instanceof Error)) return { kind: typeof error, frames: [] }
  return { kind: nameOf(error), frames: framesOf(error) }
}

function nameOf(error: Error): string {
  return /^\w{1,40}$/.test(error.name) ? error.name : 'Error'
}

/** The stack begins with the message, so the message is cut out before lines are read as frames. */
function framesOf({ message, stack }: Error): readonly string[] {
  if (typeof stack !== 'string') return []
  const withoutMessage = message === '' ? stack : stack.replaceAll(message, '')
  return withoutMessage
    .split('\n')
    .filter((line) => /^ {4}at \S.*:\d+:\d+\)?$/.test(line))
    .slice(0, framesMax)
    .map((line) => line.trim())
}
