import type { Clock } from '../../../ports/clock.ts'
import type { AskKms, KmsTrouble } from './ask-kms.ts'

/** As long as the broker's own identity remembers a failure. */
const pauseMs = 2000

/** After trouble that may pass nobody asks for two seconds, and all are told what it was: no herd on what is down. */
export function createAskAgainLater(ask: AskKms, clock: Clock): AskKms {
  let trouble: { readonly reply: KmsTrouble; readonly untilMs: number } | undefined

  return async (call) => {
    if (trouble !== undefined && clock.steadyMs() < trouble.untilMs) return trouble.reply
    const reply = await ask(call)
    const isPassing = !reply.ok && !reply.isRefusal
    trouble = isPassing ? { reply, untilMs: clock.steadyMs() + pauseMs } : undefined
    return reply
  }
}
