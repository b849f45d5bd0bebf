import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type { Grant } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { RuleUse } from '../domain/rule-use.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import { dayOf, type RuleUses } from '../records/rule-uses.ts'
import type { Noting } from './noting.ts'

/** Different uses of one day that an instance remembers to have noted. */
const knownMax = 10_000

export interface NoteUseDeps {
  readonly ruleUses: Pick<RuleUses, 'note'>
  readonly noting: Noting
  readonly clock: Pick<Clock, 'now'>
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
 * writes. Never rejects: a use that could not be noted is noted with the next request like it after the pause.
 */
export function createNoteUse({ ruleUses, noting, clock }: NoteUseDeps): NoteUse {
  const known = createRecentlyUsed<true>({ sizeMax: knownMax })
  // On the hot path the same token is served again and again: to look at it costs a tenth of naming its use in full.
  const lastUses = new WeakMap<MintedToken, LastUse>()

  return (grant, request, token) => {
    const now = clock.now()
    const lastUse: LastUse = { day: dayOf(now), rule: grant.rule, isByName: isByName(grant, request) }
    if (request.boundary === undefined && isSame(lastUses.get(token), lastUse)) return undefined
    if (noting.isPaused()) return undefined
    if (request.boundary === undefined) lastUses.set(token, lastUse)
    const use = useOf(grant, request)
    const name = JSON.stringify([lastUse.day, use])
    if (known.get(name) === true) return undefined
    known.set(name, true)
    const write = async () => {
      try {
        await ruleUses.note(use, now)
      } catch (error) {
        known.delete(name)
        lastUses.delete(token)
        throw error
      }
    }
    return noting.start(write, { message: 'the use of a rule was not noted', fields: { rule: use.rule } })
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
