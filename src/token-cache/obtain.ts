import type { BlocksInForce } from '../domain/blocks.ts'
import { BrokerError, isBrokerError, type BrokerErrorCode } from '../domain/broker-error.ts'
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
import { createRetryBudget } from '../domain/retry.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Gets a token that memory does not have: from the store, or by minting under the lease. */
export interface Obtain {
  /**
   * Waits within the deadline for what passes: another holder's mint, a store that fails once, a failure of a moment
   * ago. With `fallback`, a token that is short but not dead, every failure answers with that instead of throwing.
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
  /** By the steady clock. */
  readonly deadlineMs: number
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
  /** Told once of each request that waits for another instance's mint. */
  readonly noteLeaseWait?: () => void
}

/** Less than this is no time for a mint. */
const mintMsMin = 500
/** How long a failure of a moment ago is waited out; what rests longer is told to the caller. */
const outwaitMsMax = 2_500
/** Full jitter, so that those who waited together do not come back together. */
const jitterMs = 300
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
  const storeRetries = createRetryBudget()

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
      reason: `the token just minted has ${memory.left(obtained.held)} s left: minting was slow, or the clock was set`,
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

  const fits = (waitMs: number, { deadlineMs }: WantedToken): boolean =>
    clock.steadyMs() + waitMs + mintMsMin <= deadlineMs

  /** Waits once until what failed a moment ago may be tried again; throws that failure when it does not pass soon. */
  const outwaitFailure = async (want: WantedToken): Promise<void> => {
    const restMs = failures.passesInMs(want.identity)
    if (restMs !== undefined && restMs <= outwaitMsMax && fits(restMs + jitterMs, want))
      await clock.sleep(restMs + entropy.fraction() * jitterMs)
    failures.rethrow(want.identity)
  }

  /** A store that fails once is not the caller's trouble: it is asked again, within a budget of its own (P21). */
  const retried = async <T>(want: WantedToken, work: () => Promise<T>): Promise<T> => {
    storeRetries.noteFirstAttempt()
    try {
      return await work()
    } catch (error) {
      const mayPass = isBrokerError(error) && error.code === 'store_unavailable'
      if (!mayPass || !fits(jitterMs, want) || !storeRetries.mayRetry()) throw error
    }
    await clock.sleep(entropy.fraction() * jitterMs)
    return work()
  }

  const waitForToken = async (want: WantedToken, mayRetry: boolean): Promise<Obtained> => {
    const ask = <T>(work: () => Promise<T>): Promise<T> =>
      noting(want.identity, mayRetry ? retried(want, work) : work())
    const startedAt = clock.steadyMs()
    for (let pollMs = pollMsMin; ; pollMs = Math.min(pollMsMax, pollMs * 2)) {
      failures.rethrow(want.identity)
      const found = await ask(() => find(want))
      const freshness = freshnessInStore(found, want)
      if (found.token !== undefined && (freshness === 'fresh' || freshness === 'due')) {
        const obtained = await enterLive(want.identity, found.token)
        if (obtained !== undefined) return obtained
      }
      const claim = await ask(() => tokens.claim(found))
      if (claim !== undefined) return mintUnder(claim, want)
      if (found.token !== undefined && freshness === 'short') {
        const obtained = await enterLive(want.identity, found.token)
        if (obtained !== undefined) return obtained
      }
      if (pollMs === pollMsMin) deps.noteLeaseWait?.()
      if (!fits(pollMs, want)) throw busy(want, clock.steadyMs() - startedAt)
      await clock.sleep(pollMs * (0.5 + entropy.fraction()))
    }
  }

  return {
    foreground: async (want, fallback) => {
      try {
        // Who has a token at hand is not kept waiting for what failed.
        if (fallback === undefined) await outwaitFailure(want)
        return await waitForToken(want, fallback === undefined)
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

function busy({ key }: WantedToken, waitedMs: number): BrokerError {
  return new BrokerError('lease_busy', {
    reason: `another instance has been minting ${key} for ${Math.round(waitedMs / 100) / 10} s`,
    retryAfter: seconds(1),
  })
}

/** How long a failure is repeated to later requests, so that they do not all ask an upstream that is down. */
const restMsMin = 2_000
const entriesMax = 10_000

const passing: ReadonlySet<BrokerErrorCode> = new Set([
  'upstream_unavailable',
  'store_unavailable',
  'key_ring_unavailable',
  'lease_busy',
])

/** What this instance tried and failed at just now. */
export interface RecentFailures {
  /** Throws the failure of a moment ago again, if there was one. */
  rethrow(identity: string): void
  /** How long a failure of a moment ago still rests that may pass by itself. */
  passesInMs(identity: string): number | undefined
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
        ...(error.retryAfter !== undefined && { retryAfter: seconds(Math.ceil(leftMs / 1000)) }),
        cause: error,
      })
    },
    passesInMs: (identity) => {
      const failure = failures.get(identity)
      if (failure === undefined || !passing.has(failure.error.code)) return undefined
      const restMs = failure.untilMs - clock.steadyMs()
      return restMs > 0 ? restMs : undefined
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
