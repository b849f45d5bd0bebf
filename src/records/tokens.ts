import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentKey, DocumentStore, Stored, Version, Document } from '../ports/document-store.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { Log } from '../ports/log.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import { leaseForgottenAt, isHeld, nextLease, type Lease } from './lease.ts'
import * as z from 'zod/mini'
import { tokenTypes, type TokenType } from '../domain/exchange-request.ts'
import {
  documentOf,
  filledText,
  instant,
  lease,
  membersOf,
  readDocument,
  texts,
  writeDocument,
} from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'

/** The tokens all instances share, sealed, each with the lease on minting its successor. */
export interface Tokens {
  /** What is known under the key; a record that cannot be read or opened counts as none and is logged. */
  find(key: TokenKey): Promise<FoundToken>
  /** The right to mint the successor of what was found, or `undefined` when somebody else has it or was faster. */
  claim(found: FoundToken): Promise<TokenClaim | undefined>
  /** Ends the claim with its token; `false` when another holder took over, whose token then stays (P18). */
  keep(claim: TokenClaim, token: MintedToken): Promise<boolean>
  /** Ends the claim without a token. */
  release(claim: TokenClaim): Promise<void>
  /** Looks at every intermediary token and removes those that `isDead` says so of, by credential and versions. */
  removeIntermediaries(
    isDead: (credential: string, drawnFrom: readonly string[]) => Promise<boolean>,
  ): Promise<void>
}

export const tokensPrefix = 'tokens/'
const intermediaryPrefix = `${tokensPrefix}intermediary@` as const
const page = 100

/** `tokens/` and the SHA-256 of everything the token depends on. */
export type TokenKey = `${typeof tokensPrefix}${string}`

/** Found by the name of its credential: no name holds an `@`. */
export function intermediaryKey(credential: string, digest: string): TokenKey {
  return `${intermediaryPrefix}${credential}@${digest}`
}

export interface FoundToken {
  readonly key: TokenKey
  readonly token?: MintedToken
  readonly record?: TokenRecord
  readonly version?: Version
}

export interface TokenClaim {
  readonly key: TokenKey
  readonly lease: Lease
  readonly version: Version
  readonly former: TokenRecord | undefined
}

interface TokensDeps {
  readonly store: DocumentStore
  readonly keyRing: KeyRing
  readonly clock: Clock
  readonly log: Log
  /** Names this instance in leases. */
  readonly holder: string
}

export function createTokens({ store, keyRing, clock, log, holder }: TokensDeps): Tokens {
  const open = async (key: TokenKey, record: TokenRecord): Promise<MintedToken | undefined> => {
    if (record.token === undefined) return undefined
    const { sealed, ...facts } = record.token
    return { ...facts, secret: await keyRing.open(sealed, tokenPlace(key)) }
  }

  const versionsIn = (stored: Stored): readonly string[] => {
    try {
      return parseTokenRecord(stored).token?.drawnFrom ?? []
    } catch (error) {
      if (!isBrokerError(error)) throw error
      return []
    }
  }

  return {
    find: async (key) => {
      const stored = await store.get(key)
      if (stored === undefined) return { key }
      try {
        const record = parseTokenRecord(stored)
        const token = await open(key, record)
        return { key, record, version: stored.version, ...omitUndefined({ token }) }
      } catch (error) {
        if (!isBrokerError(error)) throw error
        // A cache entry we cannot read is only a miss: the next claim replaces it.
        log('warn', 'stored token cannot be used', { key, error })
        return { key, version: stored.version }
      }
    },

    claim: async ({ key, record, version }) => {
      const now = clock.now()
      if (isHeld(record?.lease, now)) return undefined
      const lease = nextLease(holder, record?.fence ?? 0, now)
      const claimed: TokenRecord = {
        fence: lease.fence,
        lease,
        ...omitUndefined({ token: record?.token }),
      }
      const written = await store.put(key, tokenDocumentOf(claimed), {
        if: version === undefined ? 'absent' : { version },
        expiresAt: record?.token?.expiresAt ?? leaseForgottenAt(lease),
      })
      return written === undefined ? undefined : { key, lease, version: written, former: record }
    },

    keep: async ({ key, lease, version }, token) => {
      const { secret, ...facts } = token
      const sealed = await keyRing.seal(secret, tokenPlace(key))
      const kept: TokenRecord = { fence: lease.fence, token: { ...facts, sealed } }
      // The condition is the fence: whoever took the lease over has changed the version.
      const written = await store.put(key, tokenDocumentOf(kept), {
        if: { version },
        expiresAt: token.expiresAt,
      })
      return written !== undefined
    },

    removeIntermediaries: async (isDead) => {
      for (let after: DocumentKey | undefined; ;) {
        const found = await store.list({ prefix: intermediaryPrefix, after, limit: page })
        for (const stored of found) {
          const name = stored.key.slice(intermediaryPrefix.length).split('@')[0] ?? ''
          if (await isDead(name, versionsIn(stored))) await store.delete(stored.key)
        }
        after = found.at(-1)?.key
        if (found.length < page) return
      }
    },

    release: async ({ key, lease, version, former }) => {
      const free: TokenRecord = {
        fence: lease.fence,
        ...omitUndefined({ token: former?.token }),
      }
      await store.put(key, tokenDocumentOf(free), {
        if: { version },
        expiresAt: former?.token?.expiresAt ?? leaseForgottenAt(lease),
      })
    },
  }
}

/** Where a token is sealed to. */
export function tokenPlace(key: DocumentKey): string {
  return `${key}#token`
}

/** One document of the collection `tokens`. */
interface TokenRecord {
  readonly token?: SealedToken
  readonly lease?: Lease
  readonly fence: number
}

type SealedToken = Omit<MintedToken, 'secret' | 'signed'> & { readonly sealed: string }

/** Throws `store_unavailable` naming what is wrong with the document. */
export function parseTokenRecord(stored: Stored): TokenRecord {
  return readDocument(tokenRecord, stored)
}

export function tokenDocumentOf(record: TokenRecord): Document {
  return writeDocument(tokenRecord, record)
}

const tokenRecord = documentOf<TokenRecord>({
  fence: z.int(),
  lease: z.exactOptional(lease),
  token: z.exactOptional(
    membersOf<SealedToken>({
      sealed: filledText,
      tokenType: z.enum(tokenTypes),
      scopes: texts,
      drawnFrom: texts.check(z.minLength(1)),
      issuedAt: instant,
      expiresAt: instant,
    }),
  ),
})

/** What is known of tokens by their digest alone, so that whoever shows one can be told what it is (RFC 7662). */
export interface IssuedTokens {
  note(digest: string, facts: IssuedFacts): Promise<void>
  find(digest: string): Promise<IssuedFacts | undefined>
}

interface IssuedFacts {
  readonly credential: string
  readonly tokenType: TokenType
  /** The credential versions it was drawn from. */
  readonly drawnFrom: readonly string[]
  /** Domain-wide delegation: the user it acts for. */
  readonly subject?: string
  readonly scopes: ScopeSet
  readonly issuedAt: EpochSeconds
  readonly expiresAt: EpochSeconds
}

export function createIssuedTokens({ store }: { readonly store: DocumentStore }): IssuedTokens {
  return {
    note: async (digest, facts) => {
      // Only if absent, for creates may travel together; of the same token the same is known already.
      await store.put(keyOf(digest), writeDocument(issuedFacts, facts), {
        if: 'absent',
        expiresAt: facts.expiresAt,
      })
    },
    find: async (digest) => {
      const stored = await store.get(keyOf(digest))
      return stored === undefined ? undefined : readDocument(issuedFacts, stored)
    },
  }
}

function keyOf(digest: string): string {
  return `issued/${digest}`
}

export const issuedFacts = documentOf<IssuedFacts>({
  credential: z.string(),
  tokenType: z._default(z.enum(tokenTypes), 'access_token'),
  drawnFrom: texts.check(z.minLength(1)),
  subject: z.exactOptional(z.string()),
  scopes: texts,
  issuedAt: instant,
  expiresAt: instant,
})
