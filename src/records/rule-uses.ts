import * as z from 'zod/mini'
import { tokenTypes, type TokenType } from '../domain/exchange-request.ts'
import { scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { secondsPerDay, epochSeconds, later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { DocumentStore, Stored } from '../ports/document-store.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import { documentOf, instant, texts, writeDocument } from './stored-fields.ts'
import { readModifyWrite, type ReadModifyWriteDeps } from './read-modify-write.ts'

/** What rules were really used for, day by day. May throw `store_unavailable`. */
export interface RuleUses {
  /** Adds to the sets of the day and writes nothing when all of it is there already. */
  note(use: RuleUse, at: EpochSeconds): Promise<void>
  /**
   * Every day from that of `at` on, in order. Of one that cannot be read all is taken for used, so that nobody is advised
   * to give up what they need; it is logged, and left out when it is about none of `rules`.
   */
  since(at: EpochSeconds, rules: readonly RuleName[]): Promise<readonly RuleDay[]>
}

type RuleName = Pick<RuleUse, 'rule' | 'credential'>

/** Longer than anybody looks back. */
const keptFor = seconds(120 * secondsPerDay)
/** Users acted for may be many: a document stays small, and says that it is cut. */
const listMax = 500
const pageSize = 200

export type RuleUsesDeps = ReadModifyWriteDeps & {
  readonly store: DocumentStore
  readonly sha256: Sha256
  readonly log: Log
}

export function createRuleUses(deps: RuleUsesDeps): RuleUses {
  const digestOf = ({ rule, credential }: RuleName) => deps.sha256(JSON.stringify([rule, credential]))

  /** A document's key has the rule's digest, whatever is in it. */
  const assume = async (stored: Stored, rules: readonly RuleName[]): Promise<readonly RuleDay[]> => {
    const { key } = stored
    deps.log('error', 'a record of what a rule was used for cannot be read', { key })
    for (const rule of rules) if (key.endsWith(await digestOf(rule))) return [assumedDay(rule, dayIn(key))]
    return []
  }

  return {
    note: async (use, at) => {
      const day = dayOf(at)
      const key = `${prefixOf(day)}${await digestOf(use)}`
      await readModifyWrite(deps, key, (stored) => {
        const known = stored === undefined ? emptyDay(use, day) : parseDay(stored)
        const after = addUse(known ?? assumedDay(use, day), use)
        const isSame = stored !== undefined && JSON.stringify(after) === JSON.stringify(known)
        return {
          value: isSame ? undefined : writeDocument(ruleDay, after),
          expiresAt: later(day, keptFor),
          result: undefined,
        }
      })
    },
    since: async (at, rules) => {
      const days: RuleDay[] = []
      for (let after = prefixOf(dayOf(at)); ;) {
        const page = await deps.store.list({ prefix: 'usage/', after, limit: pageSize })
        for (const stored of page) {
          const known = parseDay(stored)
          days.push(...(known === undefined ? await assume(stored, rules) : [known]))
        }
        const last = page.at(-1)
        if (last === undefined || page.length < pageSize) return days
        after = last.key
      }
    },
  }
}

/** The first second of its day, UTC. */
export function dayOf(at: EpochSeconds): EpochSeconds {
  return epochSeconds(Math.floor(at / secondsPerDay) * secondsPerDay)
}

/** Sorts by day, and before every key of that day. */
function prefixOf(day: EpochSeconds): string {
  return `usage/${String(day).padStart(12, '0')}-`
}

function dayIn(key: string): EpochSeconds {
  return epochSeconds(Number(key.slice('usage/'.length).split('-')[0]))
}

/** All of a rule may have been used. */
function assumedDay(rule: RuleName, day: EpochSeconds): RuleDay {
  return { ...emptyDay(rule, day), tokenTypes, wantedAll: true, wantedUnbounded: true, isCut: true }
}

function emptyDay({ rule, credential }: RuleName, day: EpochSeconds): RuleDay {
  return {
    day,
    rule,
    credential,
    tokenTypes: [],
    scopes: [],
    wantedAll: false,
    subjects: [],
    audiences: [],
    resources: [],
    wantedUnbounded: false,
    isCut: false,
  }
}

function addUse(before: RuleDay, use: RuleUse): RuleDay {
  const isAccess = use.tokenType === 'access_token'
  const lists = {
    tokenTypes: scopeSet([...before.tokenTypes, use.tokenType]),
    scopes: scopeSet([...before.scopes, ...(use.scopes ?? [])]),
    subjects: scopeSet([...before.subjects, ...listOf(use.subject)]),
    audiences: scopeSet([...before.audiences, ...listOf(use.audience)]),
    resources: scopeSet([...before.resources, ...use.resources]),
  }
  return {
    day: before.day,
    rule: before.rule,
    credential: before.credential,
    tokenTypes: lists.tokenTypes.slice(0, listMax),
    scopes: lists.scopes.slice(0, listMax),
    wantedAll: before.wantedAll || (isAccess && use.scopes === undefined),
    subjects: lists.subjects.slice(0, listMax),
    audiences: lists.audiences.slice(0, listMax),
    resources: lists.resources.slice(0, listMax),
    wantedUnbounded: before.wantedUnbounded || (isAccess && use.resources.length === 0),
    isCut: before.isCut || Object.values(lists).some((list) => list.length > listMax),
  }
}

function listOf(text: string | undefined): readonly string[] {
  return text === undefined ? [] : [text]
}

/** `undefined` when it cannot be read. */
function parseDay({ value }: Stored): RuleDay | undefined {
  return ruleDay.safeParse(value).data
}

export const ruleDay = documentOf<RuleDay>({
  day: instant,
  rule: z.string(),
  credential: z.string(),
  tokenTypes: texts,
  scopes: texts,
  wantedAll: z.boolean(),
  subjects: texts,
  audiences: texts,
  resources: texts,
  wantedUnbounded: z.boolean(),
  isCut: z.boolean(),
})

/** What one request made use of, of all that its rule gives. */
export interface RuleUse {
  readonly rule: string
  readonly credential: string
  readonly tokenType: TokenType
  /** Asked for by name and issued; `undefined` when all was asked for, or more than there is: then nobody can tell. */
  readonly scopes: ScopeSet | undefined
  readonly subject?: string
  readonly audience?: string
  /** Of the boundary that the caller asked for; empty when it asked for none. */
  readonly resources: readonly string[]
}

/** All uses of one rule with one credential on one day. */
export interface RuleDay {
  /** The first second of the day, UTC. */
  readonly day: EpochSeconds
  readonly rule: string
  readonly credential: string
  readonly tokenTypes: readonly string[]
  readonly scopes: ScopeSet
  /** Somebody asked for all there is, or for more. */
  readonly wantedAll: boolean
  readonly subjects: readonly string[]
  readonly audiences: readonly string[]
  readonly resources: readonly string[]
  /** A caller asked without a boundary of its own. */
  readonly wantedUnbounded: boolean
  /** A list was full, or could not be read: what is not in it may have been used all the same. */
  readonly isCut: boolean
}
