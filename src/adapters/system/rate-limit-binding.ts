import type { Admission } from '../../domain/admission.ts'
import { seconds } from '../../domain/time.ts'
import type { RateLimit } from '../../ports/rate-limit.ts'

/** Cloudflare's rate-limit binding: https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/ */
export interface RateLimitBinding {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>
}

/** The binding does not say when to come again; its period is 10 or 60 seconds, and it slides. */
const retryAfter = seconds(10)
const admitted: Admission = { admitted: true }

/** A limit counted by Cloudflare, at each of its locations. When it cannot say, the request passes. */
export function createRateLimitBinding(binding: RateLimitBinding): RateLimit {
  return async (key) => {
    try {
      const { success } = await binding.limit({ key })
      return success ? admitted : { admitted: false, retryAfter }
    } catch {
      return admitted
    }
  }
}
