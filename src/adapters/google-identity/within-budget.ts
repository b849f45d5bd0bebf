import type { Clock } from '../../ports/clock.ts'
import type { HttpClient } from '../../ports/http-client.ts'

/** For all calls of one question together: what an `IdentitySource` promises. */
const budgetMs = 2000
/** Less is no attempt. */
const attemptMsMin = 50

/** The same client for as long as the budget lasts, from now on. */
export function withinBudget(http: HttpClient, clock: Clock): HttpClient {
  const endMs = clock.steadyMs() + budgetMs
  return async (request) => {
    const leftMs = Math.floor(endMs - clock.steadyMs())
    if (leftMs >= attemptMsMin)
      return await http({ ...request, timeoutMs: Math.min(request.timeoutMs, leftMs) })
    const { origin, pathname } = new URL(request.url)
    const detail = `${request.method} ${origin}${pathname}: what came before took all of ${budgetMs} ms`
    return { kind: 'failure', cause: 'timeout', detail }
  }
}
