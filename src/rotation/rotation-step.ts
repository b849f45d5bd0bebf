import type { RevokeVersion } from '../enrolment/revoke-credential.ts'
import type { Fact } from '../domain/event.ts'
import type { RotationStep } from '../domain/rotation.ts'
import { later, seconds, type EpochSeconds, type Seconds } from '../domain/time.ts'
import type { CredentialRecord, Rotation } from '../records/credential-record.ts'
import { enteringStep, type ReviseRotating, type Rotations, type ClaimedStep } from '../records/rotations.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Credentials } from '../records/credentials.ts'
import type { IamAccount, IamKeys } from '../google/iam-keys.ts'
import type { CreateKeyPair } from './key-pair.ts'

// What came of a step, as the change that is written of it.

/** On to another step, at once or `after` a while. */
export function goTo(
  step: RotationStep,
  changes: Partial<Rotation> = {},
  after: Seconds = seconds(0),
): ReviseRotating {
  return (record, now) => ({
    ...record,
    rotation: { ...enteringStep(record.rotation, step, now), nextTryAt: later(now, after), ...changes },
  })
}

export interface Waiting {
  /** Why it cannot go on; never a secret. */
  readonly reason: string
  /** Absent: longer with every failure. */
  readonly after?: Seconds
  /** Whether what was asked for may have been done all the same. */
  readonly mayBeDone?: boolean
}

/** The same step again, later. */
export function wait({ reason, after, mayBeDone = false }: Waiting): ReviseRotating {
  return (record, now) => {
    const { begunAt, ...rotation } = record.rotation
    const pause = after ?? pauseAfter(rotation.failures, rotation.step)
    return {
      ...record,
      rotation: {
        ...rotation,
        ...(mayBeDone && begunAt !== undefined && { begunAt }),
        failures: rotation.failures + 1,
        proofs: 0,
        nextTryAt: later(now, pause),
        reason,
      },
    }
  }
}

/** A change of the versions, and where the rotation goes then: one write. */
export function changing(
  change: (record: CredentialRecord, now: EpochSeconds) => CredentialRecord,
  next: ReviseRotating,
): ReviseRotating {
  return (record, now) => next({ ...change(record, now), rotation: record.rotation }, now)
}

export const endRotation: ReviseRotating = (record) => {
  const { rotation: _, ...rest } = record
  return rest
}

/** docs/google.md §3.2: a new key works after some seconds, and may take a minute. */
const provePauses = [1, 2, 4, 8, 15, 30, 60] as const
/** What a person has to fix is not tried all the time. */
const otherPauses = [5, 15, 30, 60, 300, 600] as const

function pauseAfter(failures: number, step: RotationStep): Seconds {
  const pauses = step === 'prove' ? provePauses : otherPauses
  return seconds(pauses[Math.min(failures, pauses.length - 1)] ?? 600)
}

/** What a rotation needs of the outside world and of other modules. */
export interface RotationDeps {
  readonly rotations: Rotations
  readonly credentials: Pick<Credentials, 'find' | 'openSecret' | 'list' | 'heldVersions'>
  readonly iamKeys: IamKeys
  readonly createKeyPair: CreateKeyPair
  /** A token to administer the keys of a credential's account with. Throws as minting does. */
  readonly iamToken: (credential: CredentialSummary) => Promise<Secret>
  readonly prove: ProveVersion
  readonly revoke: RevokeVersion
  /** Tells what others should know of; waits for nothing. */
  readonly notice: (fact: Fact) => void
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

/** One real exchange with one version; throws a `BrokerError` that says why it does not work. */
export type ProveVersion = (
  credential: CredentialSummary,
  version: string,
  scopes?: ScopeSet,
) => Promise<void>

/** Takes one step and gives back what is to be written of it; throws a `BrokerError` when it could not be taken. */
export type TakeStep = (deps: RotationDeps, claimed: ClaimedStep) => Promise<ReviseRotating>

export async function iamAccount(
  { iamToken }: Pick<RotationDeps, 'iamToken'>,
  credential: CredentialSummary,
): Promise<IamAccount> {
  return { email: credential.identity, token: await iamToken(credential) }
}
