import { later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { Sha256 } from '../ports/entropy.ts'

/** The assertions that were used, each known until it could not be used again anyway. */
export interface Replays {
  /**
   * Whether this is the first use of (issuer, jti): of any number of concurrent calls exactly one is told so. Throws
   * `store_unavailable` when it cannot be said, and then there must be no token (P6).
   */
  rememberOnce(use: AssertionUse): Promise<boolean>
}

export interface AssertionUse {
  readonly issuer: string
  readonly jti: string
  readonly until: EpochSeconds
}

/** Kept a little longer than asked, so that a store whose clock runs ahead of ours forgets nothing early. */
const margin = seconds(60)
const schema = { schema: 1 }

export function createReplays(deps: { readonly store: DocumentStore; readonly sha256: Sha256 }): Replays {
  return {
    rememberOnce: async ({ issuer, jti, until }) => {
      const key = `replays/${await deps.sha256(JSON.stringify([issuer, jti]))}`
      const written = await deps.store.put(key, schema, { if: 'absent', expiresAt: later(until, margin) })
      return written !== undefined
    },
  }
}
