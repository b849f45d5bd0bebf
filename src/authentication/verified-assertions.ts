import { whenReady, type MaybePromise } from '../domain/promises.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { CompactJws } from './compact-jws.ts'
import type { KeySet } from './jwks.ts'

/** An assertion whose signature verified, and under what. */
export interface VerifiedAssertion {
  readonly jws: CompactJws
  readonly issuer: TrustedIssuer
  readonly keys: KeySet
}

/**
 * Remembers that a signature verified, and nothing else: everything but the signature is judged anew at every use,
 * and an entry counts only for the same issuer object and the same key set. Found by the exact token alone (P14).
 */
export interface VerifiedAssertions {
  find(token: string): MaybePromise<VerifiedAssertion | undefined>
  remember(token: string, assertion: VerifiedAssertion): Promise<void>
}

/** About: a token's parsed claims take some four times its length, and the entry around them half a kilobyte. */
const bytesMax = 16 * 1024 * 1024
/** Each entry counts for at least this much, so that 10,000 fill it. */
const entryBytesMin = Math.ceil(bytesMax / 10_000)

export function createVerifiedAssertions(sha256: Sha256): VerifiedAssertions {
  const entries = createRecentlyUsed<Entry>({ sizeMax: bytesMax, sizeOf: ({ bytes }) => bytes })

  return {
    find: (token) => {
      // Where every issuer is `replay: once` the digest would be for nothing.
      if (entries.isEmpty()) return undefined
      return whenReady(sha256(token), (digest) => entries.get(digest)?.assertion)
    },
    remember: async (token, assertion) => {
      const bytes = Math.max(entryBytesMin, 4 * token.length + 512)
      entries.set(await sha256(token), { assertion, bytes })
    },
  }
}

interface Entry {
  readonly assertion: VerifiedAssertion
  readonly bytes: number
}
