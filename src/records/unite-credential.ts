import { versionStates, type CredentialState, type VersionState } from '../domain/credential.ts'
import type { CredentialRecord, CredentialVersion, Rotation } from './credential-record.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/*
 * A credential of an export beside the one that is here (T37): what is absent comes, and of the rest the stricter state
 * wins. Nothing is enabled, no secret comes back that was dropped, and fences rise above both.
 */

/** As an export has it: whoever held a lease holds it at the store it came from. */
export function withoutLeases(before: CredentialRecord): CredentialRecord {
  const { lease: _, ...record } = before
  if (record.rotation === undefined) return record
  return { ...record, rotation: withoutLease(record.rotation) }
}

function withoutLease(before: Rotation): Rotation {
  const { lease: _, ...rotation } = before
  return rotation
}

/** What is compared of two: fences count what happened at one store. */
export function withoutFences(record: CredentialRecord): CredentialRecord {
  const { rotation, ...kept } = { ...withoutLeases(record), fence: 0 }
  return rotation === undefined ? kept : { ...kept, rotation: { ...rotation, fence: 0 } }
}

/**
 * The record to write where none is here; `undefined` where its active version was destroyed here with the credential
 * it was of. `dead`: the ids of the versions that were.
 */
export function arriving(
  incoming: CredentialRecord,
  dead: ReadonlySet<string>,
): CredentialRecord | undefined {
  const versions = incoming.versions.map((version) => (dead.has(version.id) ? destroyed(version) : version))
  if (versions.filter(({ state }) => state === 'active').length !== 1) return undefined
  return raised({ ...withoutLeases(incoming), versions }, incoming.fence)
}

/** The record to write over the one that is here; the same one where nothing is to be changed. */
export function unite(
  here: CredentialRecord,
  incoming: CredentialRecord,
  dead: ReadonlySet<string>,
): CredentialRecord {
  const isSame = JSON.stringify(withoutFences(here)) === JSON.stringify(withoutFences(incoming))
  if (isSame && here.fence > incoming.fence) return here
  const state = stricterState(here.state, incoming.state)
  const isOne = here.kind === incoming.kind && here.upstream === incoming.upstream
  const known = new Map(incoming.versions.map((version) => [version.id, version]))
  // Of another credential that had the name before or after, only what is switched off counts.
  if (!isOne || !here.versions.some(({ id }) => known.has(id)))
    return state === here.state ? here : revised({ ...here, state }, incoming)

  const newest = Math.max(...here.versions.map(({ createdAt }) => createdAt))
  // What is older than the newest one here, and not here, was forgotten here after it was destroyed.
  const later = incoming.versions.filter(
    ({ id, createdAt, state: its }) => createdAt > newest && its !== 'candidate' && !dead.has(id),
  )
  const kept = here.versions.map((version) => uniteVersion(version, known.get(version.id)))
  const versions = [...kept, ...later.filter(({ id }) => !here.versions.some((other) => other.id === id))]
  const united = { ...here, state, versions }
  const isPlain = versions.filter(({ state: its }) => its === 'active').length === 1
  // Both were rotated apart from each other: which secret is right nobody can tell, so nothing is drawn from either.
  const settled = isPlain ? united : { ...here, state: stricterState(state, 'disabled') }
  const after = activeId(settled) === activeId(here) ? settled : withoutRotation(settled)
  const isUnchanged = JSON.stringify(after) === JSON.stringify(here)
  if (!isUnchanged) return revised(after, incoming)
  return here.fence > incoming.fence ? here : raised(here, incoming.fence)
}

/** Whoever saw either of them holds an old `ETag`. */
function revised(record: CredentialRecord, incoming: CredentialRecord): CredentialRecord {
  const revision = Math.max(record.revision, incoming.revision) + 1
  return raised({ ...record, revision }, incoming.fence)
}

function raised(record: CredentialRecord, fence: number): CredentialRecord {
  const { rotation } = record
  const raisedRecord = { ...record, fence: Math.max(record.fence, fence) + 1 }
  return rotation === undefined
    ? raisedRecord
    : { ...raisedRecord, rotation: { ...rotation, fence: rotation.fence + 1 } }
}

function uniteVersion(here: CredentialVersion, incoming: CredentialVersion | undefined): CredentialVersion {
  if (incoming === undefined) return here
  const state = laterState(here.state, incoming.state)
  const isNewer = incoming.generation > here.generation && here.sealed !== undefined
  const { intent: _, sealed: __, ...facts } = isNewer ? incoming : here
  const { sealed, intent } = isNewer ? incoming : here
  if (state === 'destroyed') return destroyed({ ...facts, generation: facts.generation })
  return {
    ...facts,
    state,
    ...omitUndefined({ sealed, intent }),
  }
}

function destroyed(before: CredentialVersion): CredentialVersion {
  const { sealed: _, intent: __, ...version } = before
  return { ...version, state: 'destroyed' }
}

/** The order of `versionStates` is that of a version's life. */
function laterState(one: VersionState, other: VersionState): VersionState {
  return versionStates.indexOf(one) >= versionStates.indexOf(other) ? one : other
}

const strictness: Readonly<Record<CredentialState, number>> = { enabled: 0, disabled: 1, revoked: 2 }

function stricterState(one: CredentialState, other: CredentialState): CredentialState {
  return strictness[one] >= strictness[other] ? one : other
}

function activeId({ versions }: CredentialRecord): string | undefined {
  return versions.find(({ state }) => state === 'active')?.id
}

function withoutRotation(before: CredentialRecord): CredentialRecord {
  const { rotation: _, ...record } = before
  const versions = record.versions.map((version) =>
    version.state === 'candidate' ? { ...version, state: 'disabled' as const } : version,
  )
  return { ...record, versions }
}
