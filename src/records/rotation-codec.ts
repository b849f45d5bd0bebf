import * as z from 'zod/mini'
import { rotationMethods, rotationSteps, type RotationStatus } from '../domain/rotation.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Document } from '../ports/document-store.ts'
import type { Lease } from './lease.ts'
import { filledText, instant, leaseDocument, leaseDocumentOf } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** A rotation as its credential's document holds it: enough for any instance to go on after a crash. */
export interface Rotation extends RotationStatus {
  /** The right to take the next step; `fence` tells a late holder. */
  readonly lease?: Lease
  readonly fence: number
  /** When a key was first asked for and not yet refused: there may be one upstream that nobody heard of. */
  readonly begunAt?: EpochSeconds
  /** How often in a row the candidate worked. */
  readonly proofs: number
  /** The keys there were upstream before it made one. */
  readonly knownKeys?: readonly string[]
  /** The candidate's self-signed certificate, base64 of DER: by it our key is found again upstream. */
  readonly certificate?: string
  /** What was consented with an imported refresh token. */
  readonly consentedScopes?: ScopeSet
  /** Whether the former secret is withdrawn upstream in the end, and not only here. */
  readonly withdrawsFormer: boolean
  /** Whether somebody asked for that by name: then other credentials that may go with it are no reason to wait. */
  readonly isWithdrawalAsked?: boolean
}

export function rotationStatusOf(rotation: Rotation): RotationStatus {
  const { id, method, step, since, startedAt, nextTryAt, failures, reason, candidate, former } = rotation
  return {
    id,
    method,
    step,
    since,
    startedAt,
    nextTryAt,
    failures,
    ...omitUndefined({ reason, candidate }),
    former,
  }
}

export function rotationDocumentOf(rotation: Rotation): Document {
  return {
    id: rotation.id,
    method: rotation.method,
    step: rotation.step,
    since: rotation.since,
    started_at: rotation.startedAt,
    next_try_at: rotation.nextTryAt,
    failures: rotation.failures,
    ...omitUndefined({ reason: rotation.reason, candidate: rotation.candidate }),
    former: rotation.former,
    ...(rotation.lease === undefined ? {} : { lease: leaseDocumentOf(rotation.lease) }),
    fence: rotation.fence,
    ...omitUndefined({ begun_at: rotation.begunAt }),
    proofs: rotation.proofs,
    ...omitUndefined({
      known_keys: rotation.knownKeys,
      certificate: rotation.certificate,
      consented_scopes: rotation.consentedScopes,
    }),
    withdraws_former: rotation.withdrawsFormer,
    ...omitUndefined({ withdrawal_asked: rotation.isWithdrawalAsked }),
  }
}

export const rotationDocument = z.pipe(
  z.object({
    id: filledText,
    method: z.enum(rotationMethods),
    step: z.enum(rotationSteps),
    since: instant,
    started_at: instant,
    next_try_at: instant,
    failures: z.int(),
    reason: z.optional(z.string()),
    candidate: z.optional(filledText),
    former: filledText,
    lease: z.optional(leaseDocument),
    fence: z.int(),
    begun_at: z.optional(instant),
    proofs: z.int(),
    known_keys: z.optional(z.array(z.string())),
    certificate: z.optional(filledText),
    consented_scopes: z.optional(z.array(z.string())),
    withdraws_former: z.boolean(),
    withdrawal_asked: z.optional(z.boolean()),
  }),
  z.transform(
    ({
      started_at: startedAt,
      next_try_at: nextTryAt,
      reason,
      candidate,
      lease,
      begun_at: begunAt,
      known_keys: knownKeys,
      certificate,
      consented_scopes: consentedScopes,
      withdraws_former: withdrawsFormer,
      withdrawal_asked: isWithdrawalAsked,
      ...same
    }): Rotation => ({
      ...same,
      startedAt,
      nextTryAt,
      withdrawsFormer,
      ...omitUndefined({
        isWithdrawalAsked,
        reason,
        candidate,
        lease,
        begunAt,
        knownKeys,
        certificate,
        consentedScopes,
      }),
    }),
  ),
)
