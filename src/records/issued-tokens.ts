import * as z from 'zod/mini'
import { tokenTypes, type TokenType } from '../domain/exchange-request.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import { instant, malformed } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

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
    note: async (digest, { credential, tokenType, drawnFrom, subject, scopes, issuedAt, expiresAt }) => {
      const facts = {
        schema: 1,
        credential,
        token_type: tokenType,
        drawn_from: drawnFrom,
        ...omitUndefined({ subject }),
        scopes,
        issued_at: issuedAt,
        expires_at: expiresAt,
      }
      // Only if absent, for creates may travel together; of the same token the same is known already.
      await store.put(keyOf(digest), facts, { if: 'absent', expiresAt })
    },
    find: async (digest) => {
      const stored = await store.get(keyOf(digest))
      if (stored === undefined) return undefined
      const parsed = issuedDocument.safeParse(stored.value)
      if (!parsed.success) throw malformed(stored.key, parsed.error)
      return parsed.data
    },
  }
}

function keyOf(digest: string): string {
  return `issued/${digest}`
}

const issuedDocument = z.pipe(
  z.object({
    schema: z.literal(1),
    credential: z.string(),
    token_type: z._default(z.enum(tokenTypes), 'access_token'),
    drawn_from: z.array(z.string()).check(z.minLength(1)),
    subject: z.optional(z.string()),
    scopes: z.array(z.string()),
    issued_at: instant,
    expires_at: instant,
  }),
  z.transform(
    ({
      credential,
      token_type: tokenType,
      drawn_from: drawnFrom,
      subject,
      scopes,
      issued_at: issuedAt,
      expires_at: expiresAt,
    }): IssuedFacts => ({
      credential,
      tokenType,
      drawnFrom,
      ...omitUndefined({ subject }),
      scopes,
      issuedAt,
      expiresAt,
    }),
  ),
)
