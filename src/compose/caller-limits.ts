import { createTokenBuckets } from '../adapters/system/token-buckets.ts'
import type { CallerLimits } from '../authenticate/authenticate.ts'
import type { Settings } from '../config.ts'
import type { Clock } from '../ports/clock.ts'

/** How many requests an instance takes a minute, from each caller and from all of them; 0 is without limit. */
export function createLimits({ callerRate, totalRate }: Settings, clock: Clock): CallerLimits {
  return {
    ...(totalRate === 0 ? {} : { total: createTokenBuckets({ perMinute: totalRate, clock }) }),
    ...(callerRate === 0 ? {} : { perCaller: createTokenBuckets({ perMinute: callerRate, clock }) }),
  }
}
