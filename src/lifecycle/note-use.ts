import { isBrokerError } from '../domain/broker-error.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type { Grant } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { RuleUse } from '../domain/rule-use.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { dayOf, type RuleUses } from '../records/rule-uses.ts'

/** Different uses of one day that an instance remembers to have noted. */
const knownMax = 10_000
/** A store that is down holds up one request in so long, and not each. */
const pauseMs = 30_000
/** What was noted is not noted again on its day. */
const never = Infinity

export interface NoteUseDeps {
  readonly ruleUses: Pick<RuleUses, 'note'>
  readonly background: Background
  readonly clock: Pick<Clock, 'now' | 'steadyMs'>
  readonly log: Log
}

/** `undefined` when there is nothing to wait for. */
export type NoteUse = (
  grant: Grant,
  request: ExchangeRequest,
  token: MintedToken,
) => Promise<void> | undefined

/** What was noted last of a token: with the token itself it says all that a use does, but for boundaries asked for. */
interface LastUse {
  readonly day: EpochSeconds
  readonly rule: string
  readonly isByName: boolean
}

/**
 * Notes what of its rule a request made use of, once a day for each different use, so that a busy broker hardly ever
 * writes. Never rejects: a use that could not be noted is noted with a request like it half a minute later.
 */
export function createNoteUse({ ruleUses, background, clock, log }: NoteUseDeps): NoteUse {
  // When, by the steady clock, it may be noted again.
  const known = createRecentlyUsed<number>({ sizeMax: knownMax })
  // On the hot path the same token is served again and again: to look at it costs a tenth of naming its use in full.
  const lastUses = new WeakMap<MintedToken, LastUse>()

  return (grant, request, token) => {
    const now = clock.now()
    const lastUse: LastUse = { day: dayOf(now), rule: grant.rule, isByName: isByName(grant, request) }
    if (request.boundary === undefined && isSame(lastUses.get(token), lastUse)) return undefined
    const use = useOf(grant, request)
    const name = JSON.stringify([lastUse.day, use])
    const notBeforeMs = known.get(name) ?? 0
    const isNoted = notBeforeMs === never
    if (!isNoted && notBeforeMs > clock.steadyMs()) return undefined
    if (request.boundary === undefined) lastUses.set(token, lastUse)
    if (isNoted) return undefined
    known.set(name, never)
    const work = async () => {
      try {
        await ruleUses.note(use, now)
      } catch (error) {
        known.set(name, clock.steadyMs() + pauseMs)
        lastUses.delete(token)
        if (!isBrokerError(error)) throw error
        log('warn', 'the use of a rule was not noted', { rule: use.rule, reason: error.reason })
      }
    }
    if (!background.runsAfterAnswer) return work()
    background.run(work)
    return undefined
  }
}

function isByName({ scopes }: Grant, { scopes: asked }: ExchangeRequest): boolean {
  return asked.length > 0 && asked.every((scope) => scopes.includes(scope))
}

function isSame(one: LastUse | undefined, other: LastUse): boolean {
  return one?.day === other.day && one.rule === other.rule && one.isByName === other.isByName
}

function useOf(grant: Grant, request: ExchangeRequest): RuleUse {
  const { rule, credential, tokenType, scopes, subject, audience } = grant
  return {
    rule,
    credential: credential.name,
    tokenType,
    scopes: isByName(grant, request) ? scopes : undefined,
    ...(subject === undefined ? {} : { subject }),
    ...(audience === undefined ? {} : { audience }),
    resources: (request.boundary ?? []).map(({ availableResource }) => availableResource),
  }
}
