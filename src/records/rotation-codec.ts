import * as z from 'zod/mini'
import { rotationMethods, rotationSteps, type RotationStatus } from '../domain/rotation.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Lease } from './lease.ts'
import { filledText, instant, lease, membersOf, texts } from './stored-fields.ts'
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

export const rotation = membersOf<Rotation>(
  {
    id: filledText,
    method: z.enum(rotationMethods),
    step: z.enum(rotationSteps),
    since: instant,
    startedAt: instant,
    nextTryAt: instant,
    failures: z.int(),
    reason: z.exactOptional(z.string()),
    candidate: z.exactOptional(filledText),
    former: filledText,
    lease: z.exactOptional(lease),
    fence: z.int(),
    begunAt: z.exactOptional(instant),
    proofs: z.int(),
    knownKeys: z.exactOptional(texts),
    certificate: z.exactOptional(filledText),
    consentedScopes: z.exactOptional(texts),
    withdrawsFormer: z.boolean(),
    isWithdrawalAsked: z.exactOptional(z.boolean()),
  },
  { isWithdrawalAsked: 'withdrawal_asked' },
)
