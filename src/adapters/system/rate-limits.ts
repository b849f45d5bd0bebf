import type { Admission } from '../../domain/broker-error.ts'
import { createRecentlyUsed } from '../../domain/recently-used.ts'
import { seconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { RateLimit } from '../../ports/rate-limit.ts'

export interface TokenBucketsDeps {
  /** How many requests a minute each key may make; as many may come at once, after a minute's rest. */
  readonly perMinute: number
  readonly clock: Pick<Clock, 'steadyMs'>
}

/** How many requests an instance takes a minute, from each caller and from all of them; 0 is without limit. */
export function createLimits(
  { callerRate, totalRate }: { readonly callerRate: number; readonly totalRate: number },
  clock: Clock,
): { readonly total?: RateLimit; readonly perCaller?: RateLimit } {
  return {
    ...(totalRate !== 0 && { total: createTokenBuckets({ perMinute: totalRate, clock }) }),
    ...(callerRate !== 0 && { perCaller: createTokenBuckets({ perMinute: callerRate, clock }) }),
  }
}

/** Who is forgotten begins with a full bucket again, and to be forgotten takes half as many other keys. */
const keysMax = 100_000
const msPerMinute = 60_000
const admitted: Admission = { admitted: true }

/** A token bucket for each key, in the memory of this instance: n instances admit n times as much. */
export function createTokenBuckets({ perMinute, clock }: TokenBucketsDeps): RateLimit {
  const msPerToken = msPerMinute / perMinute
  // Of each bucket only the moment at which it is full again (the generic cell rate algorithm, ITU-T I.371).
  const fullAt = createRecentlyUsed<number>({ sizeMax: keysMax })

  return (key) => {
    const now = clock.steadyMs()
    const next = Math.max(fullAt.get(key) ?? 0, now) + msPerToken
    const waitMs = next - now - msPerMinute
    if (waitMs > 0) return { admitted: false, retryAfter: seconds(Math.max(1, Math.ceil(waitMs / 1000))) }
    fullAt.set(key, next)
    return admitted
  }
}

/** Cloudflare's rate-limit binding: https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/ */
export interface RateLimitBinding {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>
}

/** The binding does not say when to come again; its period is 10 or 60 seconds, and it slides. */
const retryAfter = seconds(10)
const admittedByBinding: Admission = { admitted: true }

/** A limit counted by Cloudflare, at each of its locations. When it cannot say, the request passes. */
export function createRateLimitBinding(binding: RateLimitBinding): RateLimit {
  return async (key) => {
    try {
      const { success } = await binding.limit({ key })
      return success ? admittedByBinding : { admitted: false, retryAfter }
    } catch {
      return admittedByBinding
    }
  }
}
