import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import {
  type BlockedBy,
  type BlockedCaller,
  type Blocks,
  type EndedTickets,
  type RevokedToken,
  inForce,
  type BlocksInForce,
} from '../domain/blocks.ts'
import type { Caller } from '../domain/caller.ts'
import { later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { Stored } from '../ports/document-store.ts'
import { readModifyWrite, type ReadModifyWriteDeps } from './read-modify-write.ts'
import { documentOf, filledText, instant, membersOf, readDocument, writeDocument } from './stored-fields.ts'
import {
  byAge,
  createRefreshingValue,
  type RefreshingDeps,
  type RefreshingValue,
} from '../domain/refreshing-value.ts'

/**
 * What is switched off by hand, in one document, because every request asks for all of it. All acts are idempotent: the
 * first `since` stays. Each may throw `store_unavailable`.
 */
export interface BlocksRecord {
  read(): Promise<Blocks>
  stop(by: string): Promise<Blocks>
  resume(): Promise<Blocks>
  /** Throws `state_conflict` when the list is full. */
  /** Throws `admin_forbidden` where the `blocker` is blocked by now: two who block each other leave one of them. */
  block(caller: CallerName, by: string, blocker?: CallerName): Promise<BlockedCaller>
  /** Whether the caller was blocked. */
  unblock(caller: CallerName): Promise<boolean>
  /** Forgets those that are long over. Throws `caller_throttled` when this caller's share or the list is full. */
  revoke(token: RevokedToken): Promise<void>
}

export type CallerName = Pick<Caller, 'issuer' | 'subject'>

export const blocksKey = 'blocks/current'
/** Whoever is not to come at all is better left out of the policy. */
const callersMax = 1_000
/** Of the 900,000 that a document may have: the tokens have 350,000 at most, and a stop always fits. */
const callersBytesMax = 450_000
const ticketBytesMax = 40_000
/** Each until its end, of an hour mostly; read by each instance every few seconds. */
const tokensMax = 2_000
const tokensPerCallerMax = 100
/** An instance whose clock runs ahead takes living tokens for ended ones (P19: by an hour at most). */
const grace = seconds(-3600)

export function createBlocks(deps: ReadModifyWriteDeps): BlocksRecord {
  const { store, clock } = deps

  const change = <T>(
    revise: (blocks: Blocks) => { readonly blocks: Blocks; readonly result: T },
  ): Promise<T> =>
    readModifyWrite(deps, blocksKey, (stored) => {
      const before = parseBlocks(stored)
      const { blocks, result } = revise(before)
      return { value: blocks === before ? undefined : writeDocument(blocksCodec, blocks), result }
    })

  return {
    read: async () => parseBlocks(await store.get(blocksKey)),
    stop: (by) =>
      change((before) => {
        if (before.stopped !== undefined) return { blocks: before, result: before }
        const count = (before.tickets?.count ?? 0) + 1
        const ended = { count, below: count, callers: [] }
        const blocks = { ...before, stopped: { by, since: clock.now() }, tickets: ended }
        return { blocks, result: blocks }
      }),
    resume: () =>
      change((before) => {
        const { stopped, ...blocks } = before
        return stopped === undefined ? { blocks: before, result: before } : { blocks, result: blocks }
      }),
    block: ({ issuer, subject }, by, blocker) =>
      change((before) => {
        if (blocker !== undefined && before.callers.some((other) => isSame(other, blocker)))
          throw new BrokerError('admin_forbidden', { reason: `${by} was blocked a moment ago` })
        const known = before.callers.find((other) => isSame(other, { issuer, subject }))
        if (known !== undefined) return { blocks: before, result: known }
        if (before.callers.length >= callersMax) throw full(`${callersMax} callers are blocked already`)
        const blocked = { issuer, subject, by, since: clock.now() }
        const callers = [...before.callers, blocked]
        if (bytesOf(callers) > callersBytesMax) throw full('the names of blocked callers fill their list')
        const tickets = endTickets(before.tickets, { issuer, subject }, clock.now())
        return { blocks: { ...before, callers, tickets }, result: blocked }
      }),
    unblock: (caller) =>
      change((before) => {
        const callers = before.callers.filter((other) => !isSame(other, caller))
        if (callers.length === before.callers.length) return { blocks: before, result: false }
        return { blocks: { ...before, callers }, result: true }
      }),
    revoke: (token) =>
      change((before) => {
        if (before.tokens.some(({ digest }) => digest === token.digest))
          return { blocks: before, result: undefined }
        const living = before.tokens.filter(({ expiresAt }) => expiresAt > clock.now())
        const own = living.filter(({ by }) => by === token.by).length
        if (living.length >= tokensMax || own >= tokensPerCallerMax)
          throw new BrokerError('caller_throttled', {
            reason: `${living.length} revoked tokens are remembered, ${own} of this caller`,
          })
        const remembered = before.tokens
          .filter(({ expiresAt }) => expiresAt > later(clock.now(), grace))
          .toSorted((one, other) => other.expiresAt - one.expiresAt)
          .slice(0, tokensMax - 1)
        return { blocks: { ...before, tokens: [...remembered, token] }, result: undefined }
      }),
  }
}

/** A ticket lives for an hour at most. */
const ticketsEndWithin = seconds(-3700)

/** Where the list would be full, everybody needs a new ticket. */
function endTickets(before: EndedTickets | undefined, caller: CallerName, at: EpochSeconds): EndedTickets {
  const { count, below, callers } = before ?? { count: 0, below: 0, callers: [] }
  const now = count + 1
  const others = callers.filter((other) => other.at > later(at, ticketsEndWithin) && !isSame(other, caller))
  const ended = [...others, { ...caller, count: now, at }]
  return bytesOf(ended) <= ticketBytesMax
    ? { count: now, below, callers: ended }
    : { count: now, below: now, callers: [] }
}

/**
 * What is switched off in either of them, and a stop with it: an import lets nothing be served that is not served now
 * (T37). Throws `state_conflict` where both together fill a list.
 */
export function uniteBlocks(before: Blocks, incoming: Blocks, stopped: BlockedBy): Blocks {
  const callers = [
    ...before.callers,
    ...incoming.callers.filter((caller) => !before.callers.some((other) => isSame(other, caller))),
  ]
  const living = incoming.tokens.filter(
    ({ digest, expiresAt }) =>
      expiresAt > stopped.since && !before.tokens.some((other) => other.digest === digest),
  )
  const tokens = [...before.tokens, ...living]
  if (callers.length > callersMax || bytesOf(callers) > callersBytesMax)
    throw full('both lists of blocked callers do not fit into one')
  if (living.length > 0 && tokens.length > tokensMax)
    throw full('both lists of revoked tokens do not fit into one')
  const isKnown = callers.length === before.callers.length && living.length === 0
  if (before.stopped !== undefined && isKnown) return before
  const count = Math.max(before.tickets?.count ?? 0, incoming.tickets?.count ?? 0) + 1
  return {
    stopped: before.stopped ?? stopped,
    callers,
    tokens,
    tickets: { count, below: count, callers: [] },
  }
}

function isSame(one: CallerName, other: CallerName): boolean {
  return one.issuer === other.issuer && one.subject === other.subject
}

function bytesOf(callers: readonly CallerName[]): number {
  return new TextEncoder().encode(JSON.stringify(callers)).length
}

function full(why: string): BrokerError {
  return new BrokerError('state_conflict', { reason: why, publicDetail: `${why}: change the policy instead` })
}

export function parseBlocks(stored: Pick<Stored, 'key' | 'value'> | undefined): Blocks {
  return stored === undefined ? { callers: [], tokens: [] } : readDocument(blocksCodec, stored)
}

const byHand = { by: z.string(), since: instant }

export const blocksCodec = documentOf<Blocks>({
  stopped: z.exactOptional(membersOf<NonNullable<Blocks['stopped']>>(byHand)),
  callers: z.array(membersOf<BlockedCaller>({ issuer: z.string(), subject: z.string(), ...byHand })),
  tokens: z.array(
    membersOf<RevokedToken>({ digest: filledText, expiresAt: instant, by: z.string() }, { digest: 'sha256' }),
  ),
  tickets: z.exactOptional(
    membersOf<EndedTickets>({
      count: z.int(),
      below: z.int(),
      callers: z.array(
        membersOf<EndedTickets['callers'][number]>({
          issuer: z.string(),
          subject: z.string(),
          count: z.int(),
          at: instant,
        }),
      ),
    }),
  ),
})

export interface BlocksViewDeps extends RefreshingDeps {
  readonly blocks: Pick<BlocksRecord, 'read'>
  /** How long the last reading serves while the store cannot be read: tokens in memory are served on (P20, P26). */
  readonly outageMs: number
}

// P26: 10 s, of which 5 s of age and 2 s of reading.
const freshMs = 5_000
const bounds = { deadlineMs: 2_000, pauseMs: 2_000 }

/**
 * What is switched off by hand as this instance sees it: at most 7 s behind the store while that answers, and `outageMs`
 * while it does not. After that, and before the first reading, throws `store_unavailable`.
 */
export function createBlocksView({
  blocks,
  outageMs,
  ...deps
}: BlocksViewDeps): RefreshingValue<BlocksInForce> {
  const read = async (): Promise<BlocksInForce> => inForce(await blocks.read())
  const freshness = byAge({ freshMs, staleMs: outageMs })
  return createRefreshingValue({ ...deps, ...bounds, read, freshness })
}
