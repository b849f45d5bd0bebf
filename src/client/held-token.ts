import type { IssuedToken, Runtime } from './broker-connection.ts'
import { asTokenError, TokenError } from './token-error.ts'

/** A token in memory, and what is left of it. */
export interface Held {
  readonly token: IssuedToken
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number
}

export interface HeldTokenDeps {
  readonly runtime: Runtime
  readonly fetchToken: () => Promise<IssuedToken>
  /** Asked where the broker refused a new token: is the one at hand over too? */
  readonly isOver: (held: IssuedToken, failure: TokenError) => Promise<boolean>
  /** How long a token is served before the broker is asked again whether it still holds. */
  readonly recheckMs: number
  /** Told of each failure once. */
  readonly onFailure: (failure: TokenError) => void
}

export interface HeldToken {
  /** A token with life left, or a TokenError after at most `waitMs`. */
  readonly get: (waitMs: number) => Promise<Held>
  /** What is at hand, without asking anybody. */
  readonly peek: () => Held | undefined
}

// A refusal is a decision, but policies are corrected; what is unavailable is asked again soon, and then less often.
const refusedForMs = 5_000
const firstBackOffMs = 100
const longestBackOffMs = 5_000
/** A broker may itself still serve the old token while it gets the next one. */
const sameAgainMs = 15_000
const recheckWaitMs = 1_000

interface Kept extends Held {
  readonly steadyEndMs: number
  /** Refreshed ahead from then on; drawn, so that many clients do not ask at once. */
  readonly dueLeftMs: number
  confirmedAtMs: number
}

/**
 * One token: kept, refreshed ahead, served while the broker is down and it lasts, one request for many askers,
 * back-off with jitter. Google's clients take a token with 5 minutes left for expired, so it is due before that.
 */
export function createHeldToken(deps: HeldTokenDeps): HeldToken {
  const { runtime, fetchToken, isOver, recheckMs, onFailure } = deps
  let kept: Kept | undefined
  let flight: Promise<void> | undefined
  let failures = 0
  let lastFailure: TokenError | undefined
  /** After a failure nobody asks before that, and while the broker's own token stays the same nobody refreshes. */
  let nextTryAtMs = -Infinity
  let nextRefreshAtMs = -Infinity

  /** By either clock, whichever gives less: one may be set, the other stands still in sleep. */
  const leftMs = (one: Kept): number =>
    Math.min(one.expiresAtMs - runtime.now(), one.steadyEndMs - runtime.steady())

  const usable = (): Kept | undefined => (kept !== undefined && leftMs(kept) > 1_000 ? kept : undefined)

  const keep = (token: IssuedToken): void => {
    const lifeMs = token.expiresIn * 1000
    const isSame = kept?.token.text === token.text
    const steady = runtime.steady()
    kept = {
      token,
      expiresAtMs: runtime.now() + lifeMs,
      steadyEndMs: steady + lifeMs,
      dueLeftMs:
        isSame && kept !== undefined
          ? kept.dueLeftMs
          : Math.min(420_000 + 180_000 * runtime.random(), lifeMs * (0.4 + 0.1 * runtime.random())),
      confirmedAtMs: steady,
    }
    failures = 0
    lastFailure = undefined
    nextTryAtMs = -Infinity
    nextRefreshAtMs = isSame ? steady + sameAgainMs : -Infinity
  }

  const fail = async (failure: TokenError): Promise<void> => {
    const over = usable()
    if (over !== undefined) {
      if (await isOver(over.token, failure)) kept = undefined
      else over.confirmedAtMs = runtime.steady()
    }
    failures += 1
    lastFailure = failure
    nextTryAtMs = runtime.steady() + pauseAfter(failure, failures, runtime.random())
    onFailure(failure)
  }

  const attempt = async (): Promise<void> => {
    try {
      keep(await fetchToken())
    } catch (error) {
      await fail(asTokenError(error, 'unavailable'))
    }
  }

  /** One at a time in this process; on Workers each request asks for itself. */
  const refresh = (): Promise<void> => {
    if (runtime.isolatesRequests) return attempt()
    flight ??= attempt().finally(() => (flight = undefined))
    return flight
  }

  const within = async (work: Promise<void>, ms: number): Promise<void> => {
    const { over, cancel } = runtime.wait(Math.max(0, ms))
    await Promise.race([work, over])
    cancel()
  }

  return {
    peek: usable,
    get: async (waitMs) => {
      const startedMs = runtime.steady()
      for (;;) {
        const now = runtime.steady()
        const left = startedMs + waitMs - now
        const held = usable()
        if (held !== undefined) {
          const mayAsk = now >= nextTryAtMs
          if (mayAsk && now - held.confirmedAtMs >= recheckMs) {
            // Answered or not, the next look is due after `recheckMs` again: a broker that hangs slows down one asker.
            held.confirmedAtMs = now
            await within(refresh(), Math.min(left, recheckWaitMs))
          } else if (mayAsk && now >= nextRefreshAtMs && leftMs(held) < held.dueLeftMs) {
            if (runtime.isolatesRequests) await within(refresh(), Math.min(left, recheckWaitMs))
            else void refresh()
          }
          // A refusal has ended it meanwhile.
          const after = usable()
          if (after !== undefined) return after
          continue
        }
        if (now < nextTryAtMs) {
          const pause = nextTryAtMs - now
          if (lastFailure !== undefined && (!passesByItself(lastFailure) || pause >= left)) throw lastFailure
          await runtime.wait(Math.min(pause, Math.max(0, left))).over
        } else {
          await within(refresh(), left)
        }
        if (usable() === undefined && runtime.steady() - startedMs >= waitMs)
          throw lastFailure ?? new TokenError('unavailable', `no answer within ${Math.round(waitMs)} ms`)
      }
    },
  }
}

function passesByItself({ code }: TokenError): boolean {
  return code === 'unavailable' || code === 'proof'
}

/** Full jitter, but never before the broker said (RFC 9110 §10.2.3). */
function pauseAfter(failure: TokenError, failures: number, random: number): number {
  if (!passesByItself(failure)) return refusedForMs
  const backOff =
    Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(failures, 10)) * (0.5 + random / 2)
  return Math.max(backOff, Math.min(failure.retryAfterMs ?? 0, 60_000))
}
