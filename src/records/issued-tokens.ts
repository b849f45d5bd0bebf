import * as z from 'zod/mini'
import { tokenTypes, type TokenType } from '../domain/exchange-request.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import { documentOf, instant, readDocument, texts, writeDocument } from './stored-fields.ts'

/** What is known of tokens by their digest alone, so that whoever shows one can be told what it is (RFC 7662). */
export interface IssuedTokens {
  note(digest: string, facts: IssuedFacts): Promise<void>
  find(digest: string): Promise<IssuedFacts | undefined>
}

export interface IssuedFacts {
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
