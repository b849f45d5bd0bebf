/** What a command could not do, in words for whoever gave it. */
export interface Fault extends Error {
  readonly name: 'Fault'
  readonly exit: Exit
  /** What to do about it, one line each. */
  readonly hints: readonly string[]
  /** The broker's stable code and the id its log knows the request by. */
  readonly code: string | undefined
  readonly requestId: string | undefined
}

export interface FaultDetails {
  readonly hints?: readonly string[]
  readonly code?: string | undefined
  readonly requestId?: string | undefined
}

export function createFault(exit: Exit, message: string, details: FaultDetails = {}): Fault {
  const { hints = [], code, requestId } = details
  return Object.assign(new Error(message), { name: 'Fault' as const, exit, hints, code, requestId })
}

export function isFault(error: unknown): error is Fault {
  return error instanceof Error && error.name === 'Fault' && 'hints' in error
}

/** What the status of a command says to a script; the table of `downscope --help` and docs/cli.md. */
export const exitCodes = {
  done: { code: 0, means: 'success; the answer is on standard output' },
  refused: { code: 1, means: 'refused or failed, or the check found a problem: standard error says what' },
  usage: {
    code: 2,
    means: 'invalid usage: the command line, an environment variable or a file that it names',
  },
  unreachable: { code: 3, means: 'the broker does not answer or is unavailable: try again' },
  forbidden: { code: 4, means: 'not authenticated, or the role is too low' },
  changed: { code: 5, means: 'it has changed since it was read: read it again' },
  interrupted: { code: 130, means: 'interrupted with Ctrl-C' },
} as const

export type Exit = keyof typeof exitCodes
