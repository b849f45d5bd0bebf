import { createTokenBuckets } from '../adapters/system/token-buckets.ts'
import { withoutTokens } from '../adapters/system/without-tokens.ts'
import { claimsLookedAt } from '../authorize/claims-looked-at.ts'
import type { CompiledPolicy } from '../authorize/compile-policy.ts'
import type { ExchangeSteps } from '../exchange.ts'
import { createNoteRefusal } from '../lifecycle/note-refusal.ts'
import { createNoteUse } from '../lifecycle/note-use.ts'
import { createNoting } from '../lifecycle/noting.ts'
import type { Platform } from './platform.ts'
import type { Records } from './records.ts'

/** Of one instance: what is refused more often is not of interest each time. */
const keptRefusalsPerMinute = 300

/** What the corridor leaves behind for `suggest` and `explain`. */
export function createNotes(
  platform: Platform,
  { ruleUses, refusals }: Pick<Records, 'ruleUses' | 'refusals'>,
  policy: () => Promise<CompiledPolicy>,
): Pick<ExchangeSteps, 'noteUse' | 'noteRefusal'> {
  const { clock } = platform
  const noting = createNoting(platform)
  return {
    noteUse: createNoteUse({ ruleUses, noting, clock }),
    noteRefusal: createNoteRefusal({
      noting,
      clock,
      refusals,
      claimsLookedAt: async () => claimsLookedAt((await policy()).policy),
      redact: withoutTokens,
      limit: createTokenBuckets({ perMinute: keptRefusalsPerMinute, clock }),
    }),
  }
}
