import { isBrokerError } from '../domain/broker-error.ts'
import type { Log } from '../ports/log.ts'
import { oauthBug, oauthRefusal, problemBug, problemRefusal } from './answers.ts'
import { locateBug } from './locate-bug.ts'

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
