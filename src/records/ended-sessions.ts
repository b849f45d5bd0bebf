import type { EpochSeconds } from '../domain/time.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { Sha256 } from '../ports/entropy.ts'

/** Sessions of the console that ended before their time, so that a copied cookie is worth nothing. */
export interface EndedSessions {
  /** `until`: when the session would have ended by itself. */
  end(session: string, until: EpochSeconds, at: EpochSeconds): Promise<void>
  hasEnded(session: string): Promise<boolean>
}

/** Kept by the digest of the session's id. Both methods may throw `store_unavailable`. */
export function createEndedSessions(deps: {
  readonly store: Pick<DocumentStore, 'get' | 'put'>
  readonly sha256: Sha256
}): EndedSessions {
  const keyOf = async (session: string) => `sessions/${await deps.sha256(session)}`
  return {
    end: async (session, until, at) => {
      await deps.store.put(await keyOf(session), { schema: 1, ended_at: at }, { expiresAt: until })
    },
    hasEnded: async (session) => (await deps.store.get(await keyOf(session))) !== undefined,
  }
}
