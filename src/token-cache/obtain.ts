import type { BlocksInForce } from '../domain/blocks.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { seconds, until, epochSeconds, type EpochSeconds } from '../domain/time.ts'
import type { MintedToken, TokenSource } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy, Sha256 } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { FoundToken, TokenClaim, TokenKey, Tokens } from '../records/tokens.ts'
import {
  freshnessOf,
  scheduleOf,
  type Freshness,
  type MemoryToken,
  type MemoryTokens,
} from './memory-tokens.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Gets a token that memory does not have: from the store, or by minting under the lease. */
export interface Obtain {
  /**
   * Waits for another holder's mint, at most 3 s. With `fallback`, a token that is short but not dead, every failure
   * answers with that instead of throwing.
   */
  foreground(want: WantedToken, fallback: MemoryToken | undefined): Promise<Obtained>
  /** One look: a later token of the store, or a mint if the lease is free; `undefined` when another is minting. */
  ahead(want: WantedToken, held: MemoryToken): Promise<Obtained | undefined>
}

export interface WantedToken {
  readonly identity: string
  readonly key: TokenKey
  /** Whether the token was drawn from what may still be drawn from. */
  readonly isLive: (token: MintedToken) => boolean
  readonly mint: () => Promise<MintedToken>
}

export interface Obtained {
  readonly held: MemoryToken
  readonly source: TokenSource
}

export interface ObtainDeps {
  readonly tokens: Tokens
  readonly clock: Clock
  readonly entropy: Entropy
  readonly sha256: Sha256
  readonly log: Log
  /** What is switched off by hand. Throws `store_unavailable`. */
  readonly blocks: () => BlocksInForce | Promise<BlocksInForce>
}

/** A mint takes a few hundred milliseconds; who waits longer than this is told to come back. */
const waitMsMax = 3_000
const pollMsMin = 50
const pollMsMax = 500
/** By then a clock that jumped has been set right, or the next mint is by the new one. */
const retryAfterDead = seconds(2)
/** An upstream that gives the same token again does so until near its end. */
const retryAfterRevoked = seconds(60)

export function createObtain(deps: ObtainDeps, memory: MemoryTokens): Obtain {
  const { tokens, clock, entropy, sha256, log } = deps
  const failures = createRecentFailures(clock)
  const trustedTime = createTrustedTime(clock)

  const enter = async (identity: string, token: MintedToken, source: TokenSource): Promise<Obtained> => ({
    held: memory.set(identity, token, await sha256(token.secret.reveal())),
    source,
  })

  /** As it is known now: what was known before a wait may be older than the 10 s of P26. */
  const isRevoked = async ({ secret }: MintedToken): Promise<boolean> =>
    (await deps.blocks()).isRevoked(await sha256(secret.reveal()))

  /** A token that was given back counts as none: the next holder of the lease mints another. */
  const find = async ({ key }: WantedToken): Promise<FoundToken> => {
    const found = await tokens.find(key)
    if (found.token === undefined || !(await isRevoked(found.token))) return found
    const { token: _, ...rest } = found
    return rest
  }

  const freshnessInStore = ({ token }: FoundToken, { isLive }: WantedToken): Freshness => {
    if (token === undefined || !isLive(token) || !trustedTime.believes(token)) return 'dead'
    return freshnessOf(scheduleOf(token, 0), until(token.expiresAt, clock.now()))
  }

  const mintUnder = async (claim: TokenClaim, { identity, mint }: WantedToken): Promise<Obtained> => {
    let minted: MintedToken
    try {
      minted = await noting(identity, refuseRevoked(mint()))
    } catch (error) {
      await settle('lease not released', claim, tokens.release(claim))
      throw error
    }
    // The token is good even if it cannot be shared; then the next instance mints its own.
    await settle('token not kept', claim, tokens.keep(claim, minted))
    return noting(identity, refuseDead(enter(identity, minted, 'mint')))
  }

  const noting = async <T>(identity: string, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      failures.note(identity, error)
      throw error
    }
  }

  const refuseRevoked = async (minting: Promise<MintedToken>): Promise<MintedToken> => {
    const minted = await minting
    if (!(await isRevoked(minted))) return minted
    throw new BrokerError('upstream_unavailable', {
      reason: 'the upstream gave again the token that was revoked here',
      retryAfter: retryAfterRevoked,
    })
  }

  const refuseDead = async (entering: Promise<Obtained>): Promise<Obtained> => {
    const obtained = await entering
    if (memory.freshness(obtained.held) !== 'dead') return obtained
    throw new BrokerError('upstream_unavailable', {
      reason: `the token just minted has ${memory.left(obtained.held)} s left: it was slow, or the clock jumped`,
      retryAfter: retryAfterDead,
    })
  }

  /** A token of the store; `undefined` when it turns out dead by this instance's own clocks. */
  const enterLive = async (identity: string, token: MintedToken): Promise<Obtained | undefined> => {
    const obtained = await enter(identity, token, 'store')
    return memory.freshness(obtained.held) === 'dead' ? undefined : obtained
  }

  const settle = async (complaint: string, { key }: TokenClaim, work: Promise<unknown>) => {
    try {
      await work
    } catch (error) {
      if (!isBrokerError(error)) throw error
      log('warn', complaint, { key, error })
    }
  }

  const waitForToken = async (want: WantedToken): Promise<Obtained> => {
    const startedAt = clock.steadyMs()
    for (let pollMs = pollMsMin; ; pollMs = Math.min(pollMsMax, pollMs * 2)) {
      failures.rethrow(want.identity)
      const found = await noting(want.identity, find(want))
      const freshness = freshnessInStore(found, want)
      if (found.token !== undefined && (freshness === 'fresh' || freshness === 'due')) {
        const obtained = await enterLive(want.identity, found.token)
        if (obtained !== undefined) return obtained
      }
      const claim = await noting(want.identity, tokens.claim(found))
      if (claim !== undefined) return mintUnder(claim, want)
      if (found.token !== undefined && freshness === 'short') {
        const obtained = await enterLive(want.identity, found.token)
        if (obtained !== undefined) return obtained
      }
      if (clock.steadyMs() - startedAt >= waitMsMax) throw busy(want)
      await clock.sleep(pollMs * (0.5 + entropy.fraction()))
    }
  }

  return {
    foreground: async (want, fallback) => {
      try {
        return await waitForToken(want)
      } catch (error) {
        const isServable = fallback !== undefined && memory.freshness(fallback) !== 'dead'
        if (!isServable || !isBrokerError(error)) throw error
        log('warn', 'serving a token with little life left', { key: want.key, error })
        return { held: fallback, source: 'memory' }
      }
    },

    ahead: async (want, held) => {
      failures.rethrow(want.identity)
      const found = await noting(want.identity, find(want))
      const isLater = found.token !== undefined && found.token.expiresAt > held.token.expiresAt
      if (
        found.token !== undefined &&
        isLater &&
        want.isLive(found.token) &&
        trustedTime.believes(found.token)
      )
        return enter(want.identity, found.token, 'store')
      const claim = await noting(want.identity, tokens.claim(found))
      return claim === undefined ? undefined : mintUnder(claim, want)
    },
  }
}

function busy({ key }: WantedToken): BrokerError {
  return new BrokerError('lease_busy', {
    reason: `another instance has been minting ${key} for ${waitMsMax / 1000} s`,
    retryAfter: seconds(1),
  })
}

/** How long a failure answers for the next ones, so that a herd does not beat on what is down. */
const restMsMin = 2_000
const entriesMax = 10_000

/** What this instance tried and failed at just now. */
export interface RecentFailures {
  /** Throws the failure of a moment ago again, if there was one. */
  rethrow(identity: string): void
  note(identity: string, error: unknown): void
}

function createRecentFailures(clock: Clock): RecentFailures {
  const failures = createRecentlyUsed<{ readonly error: BrokerError; readonly untilMs: number }>({
    sizeMax: entriesMax,
  })

  return {
    rethrow: (identity) => {
      const failure = failures.get(identity)
      if (failure === undefined) return
      const leftMs = failure.untilMs - clock.steadyMs()
      if (leftMs <= 0) {
        failures.delete(identity)
        return
      }
      const { error } = failure
      throw new BrokerError(error.code, {
        reason: `${error.reason} (remembered from a moment ago)`,
        ...omitUndefined({ publicDetail: error.publicDetail }),
        ...(error.retryAfter === undefined ? {} : { retryAfter: seconds(Math.ceil(leftMs / 1000)) }),
        cause: error,
      })
    },
    note: (identity, error) => {
      if (!isBrokerError(error)) return
      // What the upstream asked for by Retry-After holds for all requests, not only for the one that heard it.
      const restMs = Math.max(restMsMin, (error.retryAfter ?? 0) * 1000, (error.rememberFor ?? 0) * 1000)
      failures.set(identity, { error, untilMs: clock.steadyMs() + restMs })
    },
  }
}

/** Clocks of instances and upstream may differ by this much without arousing suspicion. */
const tolerance = 60

/**
 * Judges the dates of tokens that somebody else stored, under a wall clock that may jump (P19). A jump forward only
 * makes them look older than they are. After a jump back they would look younger, so none of that time is believed.
 */
export interface TrustedTime {
  believes(token: Pick<MintedToken, 'issuedAt'>): boolean
}

function createTrustedTime(clock: Clock): TrustedTime {
  const offset = () => clock.now() - clock.steadyMs() / 1000
  let highestOffset = offset()
  let barrier: EpochSeconds = epochSeconds(0)

  const observe = () => {
    const current = offset()
    if (current < highestOffset - tolerance) {
      // What the clock would say had it not been set back: everything issued until then is from before.
      barrier = epochSeconds(highestOffset + clock.steadyMs() / 1000)
      highestOffset = current
    }
    highestOffset = Math.max(highestOffset, current)
  }

  return {
    believes: ({ issuedAt }) => {
      observe()
      return issuedAt >= barrier && issuedAt <= clock.now() + tolerance
    },
  }
}
