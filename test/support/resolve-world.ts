import { inForce } from '../../src/domain/blocks.ts'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import type { Grant } from '../../src/domain/grant.ts'
import { Secret } from '../../src/domain/secret.ts'
import { later, seconds } from '../../src/domain/time.ts'
import type { MintedToken } from '../../src/domain/token.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Sha256 } from '../../src/ports/entropy.ts'
import { createTokens } from '../../src/records/tokens.ts'
import { createMemoryTokens } from '../../src/token-cache/memory-tokens.ts'
import { createTokenCache } from '../../src/token-cache/token-cache.ts'
import { createFakeClock } from './fake-clock.ts'
import { createFaultyStore } from './faulty-store.ts'
import { createPlainKeyRing } from './plain-key-ring.ts'
import { createAwaitableBackground, createLogBook } from './quiet.ts'
import { createSequence, quickDigest } from './sequence.ts'

interface InstanceOptions {
  readonly inline?: boolean
  readonly fraction?: number
  readonly entries?: number
  /** Its own idea of the time; else all instances share one. */
  readonly clock?: Clock
  readonly sha256?: Sha256
}

/** One store, one upstream that counts, and as many broker instances as the test asks for. */
export function createResolveWorld(lifetime = 3600) {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const keyRing = createPlainKeyRing()
  const logBook = createLogBook()
  /** Digests of the tokens that were given back; every instance knows at once. */
  const revoked = new Set<string>()
  const blocks = {
    ...inForce({ callers: [], tokens: [] }),
    isRevoked: (digest: string) => revoked.has(digest),
  }

  const upstream = {
    calls: 0,
    atOnce: 0,
    mostAtOnce: 0,
    takesMs: 0,
    failure: undefined as Error | undefined,
    drawnFrom: ['v1'] as readonly string[],
    /** Whether it gives the token that is still valid again, as a metadata server does. */
    repeats: false,
    mint: async (): Promise<MintedToken> => {
      upstream.calls += 1
      upstream.atOnce += 1
      upstream.mostAtOnce = Math.max(upstream.mostAtOnce, upstream.atOnce)
      const number = upstream.calls
      const issuedAt = clock.now()
      if (upstream.takesMs > 0) await clock.sleep(upstream.takesMs)
      upstream.atOnce -= 1
      if (upstream.failure !== undefined) throw upstream.failure
      return {
        secret: new Secret(`token-${upstream.repeats ? 1 : number}`),
        tokenType: 'access_token',
        scopes: ['a'],
        drawnFrom: upstream.drawnFrom,
        issuedAt,
        expiresAt: later(issuedAt, seconds(lifetime)),
      }
    },
  }

  const createInstance = (name: string, options: InstanceOptions = {}) => {
    const time = options.clock ?? clock
    const background = createAwaitableBackground(options.inline !== true)
    const tokens = createTokens({ store, keyRing, clock: time, log: logBook.log, holder: name })
    const resolve = createTokenCache({
      tokens,
      clock: time,
      entropy: createSequence(options.fraction ?? 0.5),
      sha256: options.sha256 ?? quickDigest,
      background,
      log: logBook.log,
      blocks: () => blocks,
      memory: createMemoryTokens({
        clock: options.clock ?? clock,
        fraction: () => options.fraction ?? 0.5,
        entriesMax: options.entries ?? 1000,
      }),
      sharesWork: true,
    })
    return {
      tokens,
      background,
      resolve: async (grant: Grant = createGrant()) => resolve(grant, upstream.mint),
    }
  }

  return { clock, store, keyRing, logBook, revoked, upstream, createInstance }
}

/** A grant of scope `a` on the credential `reports-sa`; `change` makes it another. */
export function createGrant(change: Partial<Grant> = {}): Grant {
  return {
    caller: { issuer: 'billing', issuerName: 'billing', subject: 'billing', claims: {} },
    rule: 'a rule',
    credential: { name: 'reports-sa', version: 'v1', kind: 'service_account_key', upstream: 'google' },
    scopes: ['a'],
    tokenType: 'access_token',
    ...change,
  }
}
