import type { CredentialKind } from '../domain/credential.ts'
import type { RotationMethod, RotationStep } from '../domain/rotation.ts'
import type { EpochSeconds } from '../domain/time.ts'
import { activeVersion, type CredentialRecord, type CredentialVersion } from './credential-record.ts'
import type { Rotation } from './rotation-codec.ts'
import { stateConflict } from './state-conflict.ts'
import { addCandidate } from './version-moves.ts'

/*
 * The moves of a credential's rotation as a whole: how it begins, enters a step and is turned back. Each gives back the
 * same record where nothing is left to do, and throws `state_conflict` for a move that is not to be made now.
 */

export type RotatingRecord = CredentialRecord & { readonly rotation: Rotation }

interface Beginning {
  readonly id: string
  readonly now: EpochSeconds
}

/** Begins one that makes its key, or leaves the one that runs as it is. */
export function beginUpload(record: CredentialRecord, beginning: Beginning): CredentialRecord {
  if (record.rotation !== undefined) return record
  if (record.state !== 'enabled') throw stateConflict(record, `it is ${record.state}`)
  const rotation = newRotation(record, { ...beginning, method: 'upload', step: 'count' })
  return { ...record, rotation: { ...rotation, withdrawsFormer: true } }
}

interface Import extends Beginning {
  readonly kind: CredentialKind
  readonly version: CredentialVersion
  readonly plan: Pick<Rotation, 'withdrawsFormer' | 'isWithdrawalAsked' | 'consentedScopes'>
}

/** Begins one with a version that somebody brought, which is proved next. */
export function beginImport(
  record: CredentialRecord,
  { kind, version, plan, ...beginning }: Import,
): CredentialRecord {
  if (record.rotation !== undefined) throw stateConflict(record, 'a rotation is under way: abort it first')
  if (record.kind !== kind) throw stateConflict(record, `it is a ${record.kind}`)
  const rotation = newRotation(record, { ...beginning, method: 'import', step: 'prove' })
  return { ...addCandidate(record, version), rotation: { ...rotation, candidate: version.id, ...plan } }
}

interface NewRotation extends Beginning {
  readonly method: RotationMethod
  readonly step: RotationStep
}

function newRotation(
  record: CredentialRecord,
  { now, ...what }: NewRotation,
): Omit<Rotation, 'withdrawsFormer'> {
  const former = activeVersion(record).id
  return { ...what, since: now, startedAt: now, nextTryAt: now, failures: 0, former, fence: 0, proofs: 0 }
}

/** Turned back; throws `state_conflict` when there is nothing to turn back. */
export function aborting(record: CredentialRecord, now: EpochSeconds): CredentialRecord {
  const { rotation } = record
  if (rotation === undefined) throw stateConflict(record, 'no rotation is under way')
  if (rotation.step === 'abort') return record
  if (rotation.step === 'overlap')
    throw stateConflict(record, 'the new version is active already: disable that version to go back')
  // Nothing is left to take back: only that the former secret is withdrawn upstream is given up.
  if (rotation.step === 'disable') return withoutRotation(record)
  // The lease stays, and when it was begun: what was begun must be over before it is taken back.
  const { begunAt } = rotation
  const entered = enteringStep(rotation, 'abort', now)
  return { ...record, rotation: { ...entered, ...(begunAt === undefined ? {} : { begunAt }) } }
}

function withoutRotation(record: CredentialRecord): CredentialRecord {
  const { rotation: _, ...rest } = record
  return rest
}

/** The rotation at its next step, with a clean slate. */
export function enteringStep(
  { reason: _reason, begunAt: _begunAt, ...rotation }: Rotation,
  step: RotationStep,
  now: EpochSeconds,
): Rotation {
  return { ...rotation, step, since: now, nextTryAt: now, failures: 0, proofs: 0 }
}

/** The step stays that of the abort; what was made meanwhile is kept, unless it was a promotion. */
export function abortingStill(aborting: RotatingRecord, revised: CredentialRecord): CredentialRecord {
  const { rotation } = revised
  // A promotion begins with being written: until then nobody was served from the candidate.
  if (rotation === undefined || activeVersion(revised).id !== activeVersion(aborting).id) return aborting
  const { reason: _, ...kept } = rotation
  const { step, since, nextTryAt } = aborting.rotation
  return { ...revised, rotation: { ...kept, step, since, nextTryAt } }
}
