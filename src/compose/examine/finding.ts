import { isBrokerError } from '../../domain/broker-error.ts'

/** One thing that was looked at. */
export interface Finding {
  /** In one or two words. */
  readonly what: string
  /** `odd`: it works, and somebody should look; `unknown`: it could not be looked at. */
  readonly verdict: 'good' | 'odd' | 'bad' | 'unknown'
  readonly says: string
  /** How to mend it. */
  readonly mend?: readonly string[]
}

/** Whether some work can be done, and in which words. */
export async function tryOut(what: string, mend: string, work: () => Promise<string>): Promise<Finding> {
  try {
    return { what, verdict: 'good', says: await work() }
  } catch (error) {
    return bad(what, error, mend)
  }
}

/** A planned failure, in the words of its reason. Anything else is a bug and goes on. */
export function bad(what: string, error: unknown, mend: string): Finding {
  if (!isBrokerError(error)) throw error
  return { what, verdict: 'bad', says: error.reason, ...(mend === '' ? {} : { mend: [mend] }) }
}
