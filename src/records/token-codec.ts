import * as z from 'zod/mini'
import { tokenTypes } from '../domain/exchange-request.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Document, Stored } from '../ports/document-store.ts'
import { filledText, instant, leaseDocument, leaseDocumentOf, malformed } from './stored-fields.ts'
import type { Lease } from './lease.ts'

/** One document of the collection `tokens`. */
export interface TokenRecord {
  readonly token?: SealedToken
  readonly lease?: Lease
  readonly fence: number
}

export type SealedToken = Omit<MintedToken, 'secret'> & { readonly sealed: string }

/** Throws `store_unavailable` naming what is wrong with the document. */
export function parseTokenRecord({ key, value }: Stored): TokenRecord {
  const parsed = tokenDocument.safeParse(value)
  if (!parsed.success) throw malformed(key, parsed.error)
  return parsed.data
}

export function tokenDocumentOf({ token, lease, fence }: TokenRecord): Document {
  return {
    schema: 1,
    fence,
    ...(lease === undefined ? {} : { lease: leaseDocumentOf(lease) }),
    ...(token === undefined
      ? {}
      : {
          token: {
            sealed: token.sealed,
            token_type: token.tokenType,
            scopes: token.scopes,
            drawn_from: token.drawnFrom,
            issued_at: token.issuedAt,
            expires_at: token.expiresAt,
          },
        }),
  }
}

const sealedToken = z.pipe(
  z.object({
    sealed: filledText,
    token_type: z.enum(tokenTypes),
    scopes: z.array(z.string()),
    drawn_from: z.array(z.string()).check(z.minLength(1)),
    issued_at: instant,
    expires_at: instant,
  }),
  z.transform(
    ({
      sealed,
      token_type: tokenType,
      scopes,
      drawn_from: drawnFrom,
      issued_at: issuedAt,
      expires_at: expiresAt,
    }): SealedToken => ({
      sealed,
      tokenType,
      scopes,
      drawnFrom,
      issuedAt,
      expiresAt,
    }),
  ),
)

const tokenDocument = z.pipe(
  z.object({
    schema: z.literal(1),
    fence: z.int(),
    lease: z.optional(leaseDocument),
    token: z.optional(sealedToken),
  }),
  z.transform(({ fence, lease, token }): TokenRecord => ({
    fence,
    ...(lease === undefined ? {} : { lease }),
    ...(token === undefined ? {} : { token }),
  })),
)
