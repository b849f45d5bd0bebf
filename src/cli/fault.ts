import type { Exit } from './exit-code.ts'

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
