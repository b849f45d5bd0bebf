import { isBrokerError } from '../domain/broker-error.ts'
import type { Log } from '../ports/log.ts'
import type { Entropy } from '../ports/entropy.ts'
import {
  googleBug,
  googleRefusal,
  jsonAnswer,
  oauthBug,
  oauthRefusal,
  problemBug,
  problemRefusal,
} from './answers.ts'

/** Turns whatever was thrown into an answer. Never throws. */
export type Refuse = (error: unknown, requestId: string, request: Request) => Response

/** Refusals in the form of the token endpoint, RFC 6749 §5.2. */
export function createOAuthRefuse(deps: { readonly log: Log }): Refuse {
  return (error, requestId, request) => {
    report(deps.log, error, requestId)
    return isBrokerError(error) ? oauthRefusal(error, requestId, challenge(request)) : oauthBug(requestId)
  }
}

/** Refusals in the form of the admin API, RFC 9457. */
export function createProblemRefuse(deps: { readonly log: Log }): Refuse {
  return (error, requestId) => {
    report(deps.log, error, requestId)
    return isBrokerError(error) ? problemRefusal(error, requestId) : problemBug(requestId)
  }
}

/** Refusals in the form of Google's APIs. */
export function createGoogleRefuse(deps: { readonly log: Log }): Refuse {
  return (error, requestId) => {
    report(deps.log, error, requestId)
    return isBrokerError(error) ? googleRefusal(error, requestId) : googleBug(requestId)
  }
}

/**
 * The audit record is the log line of a planned failure. Only a bug, and a failure of the audit trail itself, need a
 * line of their own.
 */
function report(log: Log, error: unknown, requestId: string): void {
  if (!isBrokerError(error)) return log('error', 'a bug answered 500', { requestId, ...locateBug(error) })
  if (error.code !== 'audit_unavailable') return undefined
  return log('error', 'no audit record, no answer', { requestId, reason: error.reason })
}

/**
 * RFC 6749 §5.2: whoever used the Authorization header gets a challenge of that scheme. Nobody else gets one: client
 * libraries that find a challenge (oauth4webapi) throw it instead of the OAuth error.
 */
function challenge(request: Request): string | undefined {
  const scheme = /^(?:basic|bearer)(?= )/i.exec(request.headers.get('authorization') ?? '')?.[0]
  if (scheme === undefined) return undefined
  return scheme.toLowerCase() === 'basic' ? 'Basic realm="downscope"' : 'Bearer'
}

/** Where an unplanned error arose, and nothing of what it says: its message may hold a secret (P23). */
export interface BugLocation {
  readonly kind: string
  readonly frames: readonly string[]
}

const framesMax = 12

export function locateBug(error: unknown): BugLocation {
  if (!(error instanceof Error)) return { kind: typeof error, frames: [] }
  return { kind: /^\w{1,40}$/.test(error.name) ? error.name : 'Error', frames: framesOf(error) }
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

/** Long enough to fix it; a probe of an orchestrator does not read it. */
const retryAfterSeconds = '60'

/**
 * Answers every path with 503 and without a word of what is wrong: on a platform where no process can refuse to start,
 * this is how a broker with faulty settings does. What is wrong is in the log.
 */
export function createOutOfService(entropy: Entropy): (request: Request) => Response {
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
