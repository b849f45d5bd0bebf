import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import { epochSeconds } from '../domain/time.ts'
import type { Document, DocumentKey } from '../ports/document-store.ts'
import type { Lease } from './lease.ts'

export const instant = z.pipe(z.int(), z.transform(epochSeconds))

/** Text of at least one character. */
export const filledText = z.string().check(z.minLength(1))

export const leaseDocument = z.pipe(
  z.object({ holder: z.string(), fence: z.int(), expires_at: instant }),
  z.transform(({ holder, fence, expires_at: expiresAt }): Lease => ({ holder, fence, expiresAt })),
)

export function leaseDocumentOf(lease: Lease): Document {
  return { holder: lease.holder, fence: lease.fence, expires_at: lease.expiresAt }
}

export function malformed(key: DocumentKey, error: z.core.$ZodError): BrokerError {
  const faults = error.issues.map((issue) => `${issue.path.join('.') || 'document'}: ${issue.code}`)
  return new BrokerError('store_unavailable', {
    reason: `document ${key} is malformed (${faults.join('; ')})`,
  })
}
