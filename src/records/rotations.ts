import type { CredentialSecret, CredentialSummary, CredentialKind } from '../domain/credential.ts'
import type { RotationStep, RotationMethod } from '../domain/rotation.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import {
  changeCredential,
  stamped,
  tellHealth,
  type Revision,
  readModifyWrite,
  type ReadModifyWriteDeps,
} from './read-modify-write.ts'
import { credentialDocumentOf, recordIn } from './credential-codec.ts'
import {
  activeVersion,
  credentialKey,
  summaryOf,
  type CredentialRecord,
  type CredentialVersion,
  type Rotation,
} from './credential-record.ts'
import { secretText, secretPlace } from './credential-secrets.ts'
import { isHeld, nextLease } from './lease.ts'
import { stateConflict, addCandidate } from './version-changes.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** A secret that is to become a version, with the facts of it that may be shown. */
export interface NewSecret {
  readonly secret: CredentialSecret
  readonly identity: string
  readonly keyId?: string
  readonly consentedScopes?: ScopeSet
}

/**
 * The rotations under way: fields of their credential's one document, so that no crash parts a rotation from the
 * versions it moves. Every method may throw `store_unavailable`.
 */
export interface Rotations {
  /** Starts a rotation, or leaves the one in progress as it is. `undefined` when there is no such credential. */
  begin(name: string, expected?: Revision): Promise<CredentialSummary | undefined>
  /** Starts a rotation to a secret that somebody brought. Throws `state_conflict` while another is in progress. */
  beginImport(
    name: string,
    brought: NewSecret,
    how: Pick<Rotation, 'withdrawsFormer' | 'isWithdrawalAsked'> & { readonly expected?: Revision },
  ): Promise<CredentialSummary | undefined>
  /** Aborts a rotation that has not promoted its candidate. Throws `state_conflict` when there is nothing to abort. */
  beginAbort(name: string, expected?: Revision): Promise<CredentialSummary | undefined>
  /** Claims the next step, under a lease; `undefined` when none is due, or another instance has it. */
  claim(name: string): Promise<ClaimedStep | undefined>
  /** Writes the result of the claimed step; nothing when another instance took over meanwhile. */
  settle(claimed: ClaimedStep, revise: ReviseRotating): Promise<'settled' | 'superseded'>
  /** A version of that secret, sealed and in no document yet. */
  seal(name: string, brought: NewSecret, id?: string): Promise<CredentialVersion>
}

export interface ClaimedStep {
  readonly name: string
  readonly fence: number
  /** As it was before: `begunAt` tells that somebody began this step already. */
  readonly rotation: Rotation
  readonly credential: CredentialSummary
}

export type ReviseRotating = (record: RotatingRecord, now: EpochSeconds) => CredentialRecord

export interface RotationsDeps extends ReadModifyWriteDeps {
  readonly keyRing: KeyRing
  /** Names this instance in leases. */
  readonly holder: string
}

export function createRotations(deps: RotationsDeps): Rotations {
  const { clock, entropy, keyRing } = deps

  const seal = async (
    name: string,
    { secret, identity, keyId }: NewSecret,
    id = entropy.uuid(),
  ): Promise<CredentialVersion> => {
    const now = clock.now()
    return {
      id,
      state: 'candidate',
      identity,
      ...omitUndefined({ keyId }),
      sealed: await keyRing.seal(secretText(secret), secretPlace(name, id)),
      generation: 1,
      createdAt: now,
      changedAt: now,
    }
  }

  return {
    seal,

    begin: (name, expected) =>
      changeCredential(
        deps,
        name,
        (record, now) => beginUpload(record, { id: entropy.uuid(), now }),
        expected,
      ),

    beginImport: async (name, { consentedScopes, ...brought }, { expected, ...withdrawal }) => {
      const version = await seal(name, brought)
      const { kind } = brought.secret
      const plan = { ...withdrawal, ...omitUndefined({ consentedScopes }) }
      const revise = (record: CredentialRecord, now: EpochSeconds) =>
        beginImport(record, { id: entropy.uuid(), now, kind, version, plan })
      return changeCredential(deps, name, revise, expected)
    },

    beginAbort: (name, expected) => changeCredential(deps, name, aborting, expected),

    claim: (name) => claim(deps, name),

    settle: (claimed, revise) =>
      readModifyWrite<'settled' | 'superseded'>(deps, credentialKey(claimed.name), (stored) => {
        const record = recordIn(stored)
        const rotation = record?.rotation
        const isOurs = rotation?.id === claimed.rotation.id && rotation.lease?.fence === claimed.fence
        if (record === undefined || rotation === undefined || !isOurs)
          return { value: undefined, result: 'superseded' }
        const { lease: _, ...free } = rotation
        // Aborted while the step was taken: what it says of the next step no longer counts, but what it has made does.
        const now = clock.now()
        const current = { ...record, rotation: free }
        const revised = revise(current, now)
        const after = rotation.step === claimed.rotation.step ? revised : keepAborting(current, revised)
        return {
          value: credentialDocumentOf(stamped(after, now)),
          result: 'settled',
          written: tellHealth(deps.noticeHealth, record, after),
        }
      }),
  }
}

function claim(
  { store, clock, entropy, holder }: RotationsDeps,
  name: string,
): Promise<ClaimedStep | undefined> {
  return readModifyWrite<ClaimedStep | undefined>(
    { store, clock, entropy },
    credentialKey(name),
    (stored) => {
      const record = recordIn(stored)
      const now = clock.now()
      const rotation = record?.rotation
      if (
        record === undefined ||
        rotation === undefined ||
        rotation.nextTryAt > now ||
        isHeld(rotation.lease, now)
      )
        return { value: undefined, result: undefined }
      const lease = nextLease(holder, rotation.fence, now)
      const begunAt = rotation.begunAt ?? (makesKeys.has(rotation.step) ? now : undefined)
      const claimed: Rotation = {
        ...rotation,
        lease,
        fence: lease.fence,
        ...omitUndefined({ begunAt }),
      }
      return {
        value: credentialDocumentOf({ ...record, rotation: claimed }),
        result: { name, fence: lease.fence, rotation, credential: summaryOf(record) },
      }
    },
  )
}

/** What must be written down before it is begun: nobody can ask the upstream later whether it was. */
const makesKeys: ReadonlySet<RotationStep> = new Set<RotationStep>(['upload', 'create'])

/*
 * The transitions of a credential's rotation: how it begins, enters a step and is aborted. Each returns the same record
 * where nothing is left to do, and throws `state_conflict` for a transition that is not allowed now.
 */

export type RotatingRecord = CredentialRecord & { readonly rotation: Rotation }

interface Beginning {
  readonly id: string
  readonly now: EpochSeconds
}

/** Starts a rotation that makes its own key, or leaves the one in progress as it is. */
function beginUpload(record: CredentialRecord, beginning: Beginning): CredentialRecord {
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

/** Starts a rotation to a version that somebody brought, which is proved next. */
function beginImport(
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

/** Enters the abort; throws `state_conflict` when there is nothing to abort. */
function aborting(record: CredentialRecord, now: EpochSeconds): CredentialRecord {
  const { rotation } = record
  if (rotation === undefined) throw stateConflict(record, 'no rotation is under way')
  if (rotation.step === 'abort') return record
  if (rotation.step === 'overlap')
    throw stateConflict(record, 'the new version is active already: disable that version to go back')
  // Nothing is left to undo: the former secret is just not withdrawn upstream.
  if (rotation.step === 'disable') return withoutRotation(record)
  // The lease stays, and when it was begun: what was begun must be over before it is undone.
  const { begunAt } = rotation
  const entered = enteringStep(rotation, 'abort', now)
  return { ...record, rotation: { ...entered, ...omitUndefined({ begunAt }) } }
}

function withoutRotation(record: CredentialRecord): CredentialRecord {
  const { rotation: _, ...rest } = record
  return rest
}

/** The rotation at its next step, without the failures of the last one. */
export function enteringStep(
  { reason: _reason, begunAt: _begunAt, ...rotation }: Rotation,
  step: RotationStep,
  now: EpochSeconds,
): Rotation {
  return { ...rotation, step, since: now, nextTryAt: now, failures: 0, proofs: 0 }
}

/** The step stays that of the abort; what was made meanwhile is kept, unless it was a promotion. */
function keepAborting(aborting: RotatingRecord, revised: CredentialRecord): CredentialRecord {
  const { rotation } = revised
  // A promotion begins with being written: until then nobody was served from the candidate.
  if (rotation === undefined || activeVersion(revised).id !== activeVersion(aborting).id) return aborting
  const { reason: _, ...kept } = rotation
  const { step, since, nextTryAt } = aborting.rotation
  return { ...revised, rotation: { ...kept, step, since, nextTryAt } }
}
