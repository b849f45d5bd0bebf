import { createTokenBuckets } from '../adapters/system/rate-limits.ts'
import { redactTokens } from '../adapters/system/audit-trail.ts'
import { claimsLookedAt, type CompiledPolicy } from '../policy/compile-policy.ts'
import type { ExchangeSteps } from '../exchange.ts'
import { createRecordRefusal, createRecordUse, createUsageRecorder } from '../advice/record-use.ts'
import type { Platform } from './platform.ts'
import type { Records } from './records.ts'
import type { CallerLimits } from '../authentication/authenticate.ts'
import type { Settings } from '../config.ts'
import type { Clock } from '../ports/clock.ts'

/** Of one instance: what is refused more often is not of interest each time. */
const keptRefusalsPerMinute = 300

/** What the pipeline records for `suggest` and `explain`. */
export function createRecording(
  platform: Platform,
  { ruleUses, refusals }: Pick<Records, 'ruleUses' | 'refusals'>,
  policy: () => Promise<CompiledPolicy>,
): Pick<ExchangeSteps, 'noteUse' | 'noteRefusal'> {
  const { clock } = platform
  const noting = createUsageRecorder(platform)
  const names = new WeakMap<CompiledPolicy, ReadonlySet<string>>()
  const namesFor = (compiled: CompiledPolicy) => {
    const known = names.get(compiled) ?? claimsLookedAt(compiled.policy)
    names.set(compiled, known)
    return known
  }
  return {
    noteUse: createRecordUse({ ruleUses, noting, clock }),
    noteRefusal: createRecordRefusal({
      noting,
      clock,
      refusals,
      claimsLookedAt: async () => namesFor(await policy()),
      redact: redactTokens,
      limit: createTokenBuckets({ perMinute: keptRefusalsPerMinute, clock }),
    }),
  }
}

/** How many requests an instance takes a minute, from each caller and from all of them; 0 is without limit. */
export function createLimits({ callerRate, totalRate }: Settings, clock: Clock): CallerLimits {
  return {
    ...(totalRate === 0 ? {} : { total: createTokenBuckets({ perMinute: totalRate, clock }) }),
    ...(callerRate === 0 ? {} : { perCaller: createTokenBuckets({ perMinute: callerRate, clock }) }),
  }
}
