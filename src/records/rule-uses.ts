import * as z from 'zod/mini'
import { tokenTypes } from '../domain/exchange-request.ts'
import type { RuleDay, RuleUse } from '../domain/rule-use.ts'
import { scopeSet } from '../domain/scopes.ts'
import { epochSeconds, later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { DocumentStore, Stored } from '../ports/document-store.ts'
import type { Sha256 } from '../ports/entropy.ts'
import { documentOf, instant, membersOf, readDocument, texts, writeDocument } from './stored-fields.ts'
import { readModifyWrite, type ReadModifyWriteDeps } from './read-modify-write.ts'

/** What rules were really used for, day by day. May throw `store_unavailable`. */
export interface RuleUses {
  /** Adds to the sets of the day and writes nothing when all of it is there already. */
  note(use: RuleUse, at: EpochSeconds): Promise<void>
  /**
   * Every day from that of `at` on, in order. Of one that cannot be read all is taken for used, so that nobody is advised
   * to give up what they need; it is thrown as `store_unavailable` only when it does not even say whose it is.
   */
  since(at: EpochSeconds): Promise<readonly RuleDay[]>
}

const secondsPerDay = 86_400
/** Longer than anybody looks back. */
const keptFor = seconds(120 * secondsPerDay)
/** Users acted for may be many: a document stays small, and says that it is cut. */
const listMax = 500
const pageSize = 200

export type RuleUsesDeps = ReadModifyWriteDeps & {
  readonly store: DocumentStore
  readonly sha256: Sha256
}

export function createRuleUses(deps: RuleUsesDeps): RuleUses {
  return {
    note: async (use, at) => {
      const day = dayOf(at)
      const key = `${prefixOf(day)}${await deps.sha256(JSON.stringify([use.rule, use.credential]))}`
      await readModifyWrite(deps, key, (stored) => {
        const before = stored === undefined ? emptyDay(use, day) : readDocument(ruleDay, stored)
        const after = addUse(before, use)
        const isSame = stored !== undefined && JSON.stringify(after) === JSON.stringify(before)
        return {
          value: isSame ? undefined : writeDocument(ruleDay, after),
          expiresAt: later(day, keptFor),
          result: undefined,
        }
      })
    },
    since: async (at) => {
      const days: RuleDay[] = []
      for (let after = prefixOf(dayOf(at)); ;) {
        const page = await deps.store.list({ prefix: 'usage/', after, limit: pageSize })
        days.push(...page.map(parseOrAssume))
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

function emptyDay({ rule, credential }: Pick<RuleUse, 'rule' | 'credential'>, day: EpochSeconds): RuleDay {
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

function parseOrAssume(stored: Stored): RuleDay {
  const parsed = ruleDay.safeParse(stored.value)
  if (parsed.success) return parsed.data
  const { day, ...use } = readDocument(aboutDay, stored)
  return {
    ...emptyDay(use, day),
    tokenTypes,
    wantedAll: true,
    wantedUnbounded: true,
    isCut: true,
  }
}

const about = { day: instant, rule: z.string(), credential: z.string() }

/** What even a document that is malformed otherwise has to say. */
const aboutDay = membersOf<Pick<RuleDay, 'day' | 'rule' | 'credential'>>(about)

const ruleDay = documentOf<RuleDay>({
  ...about,
  tokenTypes: texts,
  scopes: texts,
  wantedAll: z.boolean(),
  subjects: texts,
  audiences: texts,
  resources: texts,
  wantedUnbounded: z.boolean(),
  isCut: z.boolean(),
})
