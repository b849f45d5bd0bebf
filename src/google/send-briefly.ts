import { retryWithin } from '../domain/retry.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpClient, HttpResult } from '../ports/http-client.ts'
import type { RequestParts } from './api-request.ts'

export interface SendBrieflyDeps {
  readonly http: HttpClient
  readonly clock: Clock
}

/** `again`: whether what came is no answer yet; default, after passing trouble. It may change the next request. */
export type SendBriefly = (
  request: () => RequestParts,
  again?: (result: HttpResult) => boolean | Promise<boolean>,
) => Promise<HttpResult>

/** For all requests of one question together: what else a mint needs, such as opening a record, stands on them. */
const budgetMs = 2000
const bounds = { attemptMs: 1000, attemptMsMin: 50, retriesMax: 1 }
const answerBytesMax = 64 * 1024

/**
 * How the broker asks Google something for itself: within two seconds, which begin now for all that is sent with it,
 * and once more at once where that may help, so every request may come twice. Never rejects but for `again`.
 */
export function createSendBriefly({ http, clock }: SendBrieflyDeps): SendBriefly {
  const deadlineMs = clock.steadyMs() + budgetMs
  return async (request, again = isPassing) => {
    const waitMs = async (result: HttpResult) => ((await again(result)) ? 0 : undefined)
    const result = await retryWithin({ ...bounds, clock, deadlineMs, waitMs }, (timeoutMs) =>
      http({ ...request(), timeoutMs, maxBytes: answerBytesMax }),
    )
    if (result !== undefined) return result
    const { method, url } = request()
    const { origin, pathname } = new URL(url)
    const detail = `${method} ${origin}${pathname}: what came before took all of ${budgetMs} ms`
    return { kind: 'failure', cause: 'timeout', detail }
  }
}

function isPassing(result: HttpResult): boolean {
  if (result.kind === 'failure') return result.cause === 'network' || result.cause === 'timeout'
  return result.status >= 500
}
