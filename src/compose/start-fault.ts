import { isConfigurationFault } from '../config/setting-faults.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import { jsonAnswer } from '../http/answers.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Serve } from './platform.ts'

/** Why the broker cannot start, in words for whoever starts it; `undefined` when it is a bug of ours. */
export function startFault(error: unknown): string | undefined {
  if (isBrokerError(error)) return error.reason
  if (isConfigurationFault(error) || isListenFault(error)) return error.message
  return undefined
}

function isListenFault(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen'
}

/** Long enough to fix it; a probe of an orchestrator does not read it. */
const retryAfterSeconds = '60'

/**
 * Answers every path with 503 and without a word of what is wrong: on a platform where no process can refuse to start,
 * this is how a broker with faulty settings does. What is wrong is in the log.
 */
export function createOutOfService(entropy: Entropy): Serve {
  const text = JSON.stringify({
    error: 'temporarily_unavailable',
    error_description: 'the token service is not set up; its log says what is missing',
  })
  return () =>
    jsonAnswer({
      status: 503,
      text,
      requestId: entropy.uuid(),
      headers: { 'Retry-After': retryAfterSeconds },
    })
}
