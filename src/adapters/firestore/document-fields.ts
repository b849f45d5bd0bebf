import { epochSeconds, type EpochSeconds } from '../../domain/time.ts'
import type { ListOptions } from '../../ports/document-store.ts'

/**
 * How a document lies in Firestore. The value is JSON text and not a native map: exactly what was put comes back
 * (arrays in arrays, any member name, any depth), the size limit is the same in all stores, and no index entry is
 * made per member. The console shows it legibly all the same.
 */
export interface DocumentFields {
  readonly json: string
  /** New with every write: one that changes nothing would keep `updateTime`, and it tells whose write arrived. */
  readonly nonce: string
  /** A timestamp, so that Firestore's TTL policy can tidy up. */
  readonly expiresAt?: EpochSeconds
}

/** Every field, since "replace if unchanged" has to name them all. */
export const fieldNames = ['json', 'nonce', 'expiresAt'] as const

/** The fields read, or `undefined` when they are not ours; `expiresAt` as seconds since the epoch. */
export function parseFields(fields: {
  readonly [name in (typeof fieldNames)[number]]: unknown
}): DocumentFields | undefined {
  const { json, nonce, expiresAt } = fields
  if (typeof json !== 'string' || typeof nonce !== 'string') return undefined
  if (expiresAt === undefined) return { json, nonce }
  return typeof expiresAt === 'number' ? { json, nonce, expiresAt: epochSeconds(expiresAt) } : undefined
}

export function isExpired({ expiresAt }: DocumentFields, now: EpochSeconds): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

/** Whether a list has it, as far as expiry decides that. */
export function isListed(fields: DocumentFields, { expiresBefore }: ListOptions, now: EpochSeconds): boolean {
  if (expiresBefore === undefined) return !isExpired(fields, now)
  return fields.expiresAt !== undefined && fields.expiresAt < expiresBefore
}
