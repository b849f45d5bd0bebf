import { jsonAnswer } from '../http/json-answer.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Serve } from './platform.ts'

/** Long enough to be mended; a probe of an orchestrator does not read it. */
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
