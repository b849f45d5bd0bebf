import { isBrokerError } from '../domain/broker-error.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type { Grant } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { RuleUse } from '../domain/rule-use.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { dayOf, type RuleUses } from '../records/rule-uses.ts'

/** Different uses of one day that an instance remembers to have noted. */
const knownMax = 10_000

export interface NoteUseDeps {
  readonly ruleUses: Pick<RuleUses, 'note'>
  readonly background: Background
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

/** `undefined` when there is nothing to wait for. */
export type NoteUse = (grant: Grant, request: ExchangeRequest) => Promise<void> | undefined

/**
 * Notes what of its rule a request made use of, once a day for each different use, so that a busy broker hardly ever
 * writes. Never rejects: a use that could not be noted is noted with the next request like it.
 */
export function createNoteUse({ ruleUses, background, clock, log }: NoteUseDeps): NoteUse {
  const known = createRecentlyUsed<true>({ sizeMax: knownMax })

  return (grant, request) => {
    const now = clock.now()
    const use = useOf(grant, request)
    const name = JSON.stringify([dayOf(now), use])
    if (known.has(name)) return undefined
    known.set(name, true)
    const work = async () => {
      try {
        await ruleUses.note(use, now)
      } catch (error) {
        known.delete(name)
        if (!isBrokerError(error)) throw error
        log('warn', 'the use of a rule was not noted', { rule: use.rule, reason: error.reason })
      }
    }
    if (!background.runsAfterAnswer) return work()
    background.run(work)
    return undefined
  }
}

function useOf(grant: Grant, request: ExchangeRequest): RuleUse {
  const { rule, credential, tokenType, scopes, subject, audience } = grant
  const isByName = request.scopes.length > 0 && request.scopes.every((scope) => scopes.includes(scope))
  return {
    rule,
    credential: credential.name,
    tokenType,
    scopes: isByName ? scopes : undefined,
    ...(subject === undefined ? {} : { subject }),
    ...(audience === undefined ? {} : { audience }),
    resources: (request.boundary ?? []).map(({ availableResource }) => availableResource),
  }
}
