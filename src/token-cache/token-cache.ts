import { settled } from '../domain/promises.ts'
import type { BlocksInForce } from '../domain/blocks.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { isDrawnFrom, type Grant } from '../domain/grant.ts'
import { seconds } from '../domain/time.ts'
import type { MintedToken, ResolvedToken, TokenSource } from '../domain/token.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy, Sha256 } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { TokenKey, Tokens } from '../records/tokens.ts'
import type { Freshness, MemoryToken, MemoryTokens } from './memory-tokens.ts'
import { createObtain, type Obtained, type WantedToken, type Obtain } from './obtain.ts'

/**
 * A token for the grant: from memory, from the store, or by `mint`, of which at most one runs at a time per token
 * over all instances (P15). Never one that is dead; one with little life left only when no better can be had (P19).
 * Throws what `mint` throws, `store_unavailable`, `key_ring_unavailable` or `lease_busy`.
 */
export type GetToken = (
  grant: Grant,
  mint: () => Promise<MintedToken>,
  /** By the steady clock, until when it waits for what passes; without one 3 s. */
  deadlineMs?: number,
) => Promise<ResolvedToken>

const sealAgainAfterMs = 5_000

export interface TokenCacheDeps {
  readonly tokens: Tokens
  readonly clock: Clock
  readonly entropy: Entropy
  readonly sha256: Sha256
  readonly background: Background
  readonly log: Log
  /** What is switched off by hand. Throws `store_unavailable`. */
  readonly blocks: () => BlocksInForce | Promise<BlocksInForce>
  readonly memory: MemoryTokens
  readonly noteLeaseWait?: () => void
  /** Where a token lies in the store; absent, by what it depends on. */
  readonly keyOf?: (identity: string) => Promise<TokenKey>
  /** False on Workers: there the lease alone keeps order. */
  readonly sharesWork: boolean
}

const waitMsDefault = 3_000

export function createTokenCache(deps: TokenCacheDeps): GetToken {
  const { background, clock, sha256, sharesWork, memory } = deps
  const obtain = createObtain(deps, memory)
  const refreshAhead = createRefreshAhead(deps, obtain)
  const inFlight = new Map<string, Promise<Obtained>>()
  const sealAgainMs = new WeakMap<MemoryToken, number>()

  const { keyOf = async (identity: string): Promise<TokenKey> => `tokens/${await sha256(identity)}` } = deps

  const obtainOnce = async (
    want: Omit<WantedToken, 'key'>,
    held: MemoryToken | undefined,
  ): Promise<Obtained> => {
    const { identity } = want
    const running = sharesWork ? inFlight.get(identity) : undefined
    // For whoever joins, the token is there already when it comes: only one request caused the mint.
    if (running !== undefined) {
      const { held: joined } = await running
      // It was begun for a grant that may have had a standby which was switched off since.
      return want.isLive(joined.token) ? { held: joined, source: 'memory' as const } : obtainOnce(want, held)
    }
    const work = keyOf(identity)
      .then((key) => obtain.foreground({ ...want, key }, held))
      .finally(() => inFlight.delete(identity))
    if (sharesWork) inFlight.set(identity, work)
    // Finished also when the caller has hung up: a refresh that is cut off loses a rotated refresh token (P16).
    background.run(() => settled(work))
    return work
  }

  /** The token of the version that a rotation has just replaced: good, if there is no other to be had (P28). */
  const heldOfFormer = (grant: Grant, isRevoked: BlocksInForce['isRevoked']): MemoryToken | undefined => {
    const { standby, ...credential } = grant.credential
    if (standby === undefined) return undefined
    const held = memory.get(tokenIdentity({ ...grant, credential: { ...credential, version: standby } }))
    if (held === undefined || isRevoked(held.digest)) return undefined
    return isDrawnFrom(held.token.drawnFrom, grant.credential) ? held : undefined
  }

  const answer = (held: MemoryToken, source: TokenSource): ResolvedToken => {
    const remaining = memory.left(held)
    // Its last second ended since it was looked at, as happens to tokens that live seconds only.
    if (remaining < 1) throw ended()
    return { token: held.token, digest: held.digest, source, remaining }
  }

  const refreshed = async (want: Omit<WantedToken, 'key'>, held: MemoryToken): Promise<ResolvedToken> => {
    const better = await refreshAhead.look({ ...want, keyOf }, held)
    return better === undefined ? answer(held, 'memory') : answer(better.held, better.source)
  }

  const obtained = async (
    want: Omit<WantedToken, 'key'>,
    fallback: MemoryToken | undefined,
  ): Promise<ResolvedToken> => {
    const { held, source } = await obtainOnce(want, fallback)
    return answer(held, source)
  }

  /**
   * What is sealed locally costs no request: nothing of it is shared, and no lease is taken. A token that is due is
   * sealed again once in a while, in case that what it is sealed behind was renewed.
   */
  const sealed = async ({ identity, mint, held, freshness }: SealedWant): Promise<ResolvedToken> => {
    if (held !== undefined && freshness === 'due' && clock.steadyMs() < (sealAgainMs.get(held) ?? 0))
      return answer(held, 'memory')
    if (held !== undefined) sealAgainMs.set(held, clock.steadyMs() + sealAgainAfterMs)
    try {
      const token = await mint()
      const digest = await sha256(token.secret.reveal())
      return answer(memory.set(identity, token, digest), 'mint')
    } catch (error) {
      if (held === undefined || freshness === 'dead' || !isBrokerError(error)) throw error
      return answer(held, 'memory')
    }
  }

  return async (grant, mint, deadlineMs = clock.steadyMs() + waitMsDefault) => {
    const { isRevoked } = await deps.blocks()
    const identity = tokenIdentity(grant)
    const isLive = (token: MintedToken) => isDrawnFrom(token.drawnFrom, grant.credential)
    const remembered = memory.get(identity)
    const isServable = remembered !== undefined && isLive(remembered.token) && !isRevoked(remembered.digest)
    const held = isServable ? remembered : undefined
    const freshness = held === undefined ? 'dead' : memory.freshness(held)
    if (held !== undefined && freshness === 'fresh') return answer(held, 'memory')
    if (grant.bounding?.way === 'sealed') return sealed({ identity, mint, held, freshness })
    const want = { identity, mint, isLive, deadlineMs }
    if (held !== undefined && freshness === 'due') return refreshed(want, held)
    return obtained(want, freshness === 'short' ? held : heldOfFormer(grant, isRevoked))
  }
}

interface SealedWant extends Pick<WantedToken, 'identity' | 'mint'> {
  readonly held: MemoryToken | undefined
  readonly freshness: Freshness
}

function ended(): BrokerError {
  return new BrokerError('upstream_unavailable', {
    reason: 'the token ended while it was being handed out',
    retryAfter: seconds(1),
  })
}

/**
 * Names everything a token depends on, so that two grants share a token only if all of it is equal (P14). JSON keeps
 * the parts apart whatever they contain. The caller is not in it: two callers that are allowed the same thing share.
 */
export function tokenIdentity(grant: Grant): string {
  const { credential, tokenType, scopes, audience, subject, boundary, bounding, lifetime, upstreamTerms } =
    grant
  return JSON.stringify([
    credential.name,
    credential.version,
    credential.upstream,
    credential.source?.name ?? null,
    credential.source?.version ?? null,
    tokenType,
    scopes,
    audience ?? null,
    subject ?? null,
    boundary ?? null,
    lifetime ?? null,
    upstreamTerms ?? null,
    bounding === undefined ? null : [bounding.way, bounding.source],
    grant.isIntermediary ?? false,
  ])
}

/** Looks for the successor of a token that is due, while the token itself is served. */
interface RefreshAhead {
  /** Resolves at once where there is CPU after the answer; elsewhere with the successor, if this look found one. */
  look(want: DueToken, held: MemoryToken): Promise<Obtained | undefined>
}

interface DueToken extends Omit<WantedToken, 'key'> {
  readonly keyOf: (identity: string) => Promise<TokenKey>
}

interface RefreshAheadDeps {
  readonly background: Background
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
}

/** Who finds another instance minting looks again after 2 to 6 s. */
const pauseMsMin = 2_000
const pauseMsMax = 6_000

function createRefreshAhead(deps: RefreshAheadDeps, obtain: Obtain): RefreshAhead {
  const { background, clock, entropy, log } = deps
  // Dies with the memory entry it belongs to.
  const nextLookMs = new WeakMap<MemoryToken, number>()

  const lookOnce = async ({ keyOf, ...want }: DueToken, held: MemoryToken) => {
    try {
      return await obtain.ahead({ ...want, key: await keyOf(want.identity) }, held)
    } catch (error) {
      if (!isBrokerError(error)) throw error
      log('warn', 'refresh ahead failed; the token in memory is served on', { error })
      return undefined
    }
  }

  return {
    look: async (want, held) => {
      const now = clock.steadyMs()
      if (now < (nextLookMs.get(held) ?? 0)) return undefined
      nextLookMs.set(held, now + pauseMsMin + entropy.fraction() * (pauseMsMax - pauseMsMin))
      const looked = lookOnce(want, held)
      // Finished also when the caller has hung up, whether the answer waits for it or not (P16).
      background.run(async () => {
        await looked
      })
      return background.runsAfterAnswer ? undefined : looked
    },
  }
}
