import { BrokerError } from '../domain/broker-error.ts'
import {
  healthAfter,
  type VersionState,
  type CredentialHealth,
  type CredentialOptions,
  type CredentialState,
  type Revocation,
} from '../domain/credential.ts'
import { type EpochSeconds, seconds, until } from '../domain/time.ts'
import type { CredentialRecord, CredentialVersion } from './credential-record.ts'
import { isHeld } from './lease.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/*
 * The moves of a credential's versions. Each takes a record with exactly one active version to another such record,
 * gives back the same record where nothing is left to do, and throws `state_conflict` for every other move.
 */

/** How many destroyed versions are kept on record, the latest ones. */
const destroyedMax = 10

/** Adds a version that is not used yet, of which there is at most one. */
export function addCandidate(record: CredentialRecord, candidate: CredentialVersion): CredentialRecord {
  const other = record.versions.find(({ state }) => state === 'candidate')
  if (other !== undefined) throw stateConflict(record, `version ${other.id} is a candidate already`)
  return { ...record, versions: [...record.versions, { ...candidate, state: 'candidate' }] }
}

/** The candidate becomes active; the active version retires and stands by; one that stood by before is disabled. */
export function promoteVersion(record: CredentialRecord, id: string, now: EpochSeconds): CredentialRecord {
  const version = findVersion(record, id)
  if (version.state === 'active') return record
  if (version.state !== 'candidate') throw wrongState(record, version, 'promoted')
  return moveAll(record, now, (other) => {
    if (other.id === id) return 'active'
    return afterPromotion[other.state]
  })
}

const afterPromotion: Readonly<Record<VersionState, VersionState>> = {
  candidate: 'candidate',
  active: 'retiring',
  retiring: 'disabled',
  disabled: 'disabled',
  destroyed: 'destroyed',
}

/**
 * The version draws nothing any more. The active one can be disabled only while another stands by, which becomes
 * active again.
 */
export function disableVersion(record: CredentialRecord, id: string, now: EpochSeconds): CredentialRecord {
  const version = findVersion(record, id)
  if (version.state === 'disabled') return record
  if (version.state === 'destroyed') throw wrongState(record, version, 'disabled')
  if (version.state !== 'active')
    return moveAll(record, now, ({ id: other, state }) => (other === id ? 'disabled' : state))
  const standby = record.versions.findLast(({ state }) => state === 'retiring')
  if (standby === undefined)
    throw stateConflict(
      record,
      `version ${id} is the only one that works: rotate first, or disable the credential`,
    )
  return moveAll(record, now, ({ id: other, state }) => {
    if (other === id) return 'disabled'
    return other === standby.id ? 'active' : state
  })
}

/** The version's secret is dropped. What is still to be removed upstream stays noted. */
export function destroyVersion(record: CredentialRecord, id: string, now: EpochSeconds): CredentialRecord {
  const version = findVersion(record, id)
  if (version.state === 'destroyed') return record
  if (version.state !== 'disabled') throw wrongState(record, version, 'destroyed: disable it first')
  return forgetOldest(moveAll(record, now, ({ id: other, state }) => (other === id ? 'destroyed' : state)))
}

/** What was due to be removed is: nothing of the version is left but that it was there. */
export function removeVersion(record: CredentialRecord, id: string, now: EpochSeconds): CredentialRecord {
  const destroyed = destroyVersion(record, id, now)
  return forgetOldest(
    reviseVersion(destroyed, id, (version) => {
      const { removal: _, ...rest } = version
      return rest
    }),
  )
}

function findVersion(record: CredentialRecord, id: string): CredentialVersion {
  const version = record.versions.find((one) => one.id === id)
  if (version !== undefined) return version
  throw new BrokerError('not_found', { reason: `credential ${record.name} has no version ${id}` })
}

export function reviseVersion(
  record: CredentialRecord,
  id: string,
  revise: (version: CredentialVersion) => CredentialVersion,
): CredentialRecord {
  const versions = record.versions.map((version) => (version.id === id ? revise(version) : version))
  return { ...record, versions }
}

function moveAll(
  record: CredentialRecord,
  now: EpochSeconds,
  next: (version: CredentialVersion) => VersionState,
): CredentialRecord {
  const versions = record.versions.map((version) => {
    const state = next(version)
    if (state === version.state) return version
    const { sealed, intent, ...rest } = version
    const moved = { ...rest, state, changedAt: now }
    if (state === 'destroyed') return moved
    return {
      ...moved,
      ...omitUndefined({ sealed, intent }),
    }
  })
  return { ...record, versions }
}

function forgetOldest(record: CredentialRecord): CredentialRecord {
  const isForgettable = ({ state, removal }: CredentialVersion) =>
    state === 'destroyed' && removal === undefined
  const surplus = record.versions.filter(isForgettable).length - destroyedMax
  if (surplus <= 0) return record
  const forgotten = new Set(record.versions.filter(isForgettable).slice(0, surplus))
  return { ...record, versions: record.versions.filter((version) => !forgotten.has(version)) }
}

function wrongState(record: CredentialRecord, { id, state }: CredentialVersion, move: string): BrokerError {
  return stateConflict(record, `version ${id} is ${state} and cannot be ${move}`)
}

/*
 * The moves of a credential as a whole. Each gives back the same record where nothing is left to do, and throws
 * `state_conflict` for a move that its state forbids.
 */

/** A credential in use costs two writes of health a day, and a probe of health none. */
const checkedAgainAfter = seconds(12 * 3600)

export function enterState(record: CredentialRecord, state: CredentialState): CredentialRecord {
  if (record.state === 'revoked')
    throw stateConflict(record, 'it is revoked: bring a new secret as its next version')
  return record.state === state ? record : { ...record, state }
}

/**
 * What somebody consented to anew takes the place of all secrets that are held: `fresh` is the record that it would be by
 * itself. The fence goes on, so that a refresh that is still out finds its version gone.
 */
export function connectRecord(
  record: CredentialRecord,
  fresh: CredentialRecord,
  now: EpochSeconds,
): CredentialRecord {
  if (record.kind !== fresh.kind || record.upstream !== fresh.upstream)
    throw stateConflict(record, `it is a ${record.kind} of ${record.upstream}`)
  const { lease: _l, rotation: _r, revocation: _v, account: _a, consentedScopes: _s, ...kept } = record
  const former = record.versions.map(({ sealed: _sealed, intent: _intent, ...version }) =>
    version.state === 'destroyed' ? version : { ...version, state: 'destroyed' as const, changedAt: now },
  )
  return {
    ...kept,
    ...fresh,
    health: healthAfter(record.health, fresh.health),
    state: record.state === 'revoked' ? 'disabled' : record.state,
    versions: [...former.slice(-10), ...fresh.versions],
    fence: record.fence,
    revision: record.revision + 1,
    createdAt: record.createdAt,
  }
}

export function setOptions(record: CredentialRecord, options: CredentialOptions): CredentialRecord {
  const { rotateAfterDays: _, boundaries: __, ...rest } = record
  return { ...rest, ...options }
}

/** Its health; news are another status or reason, or the same half a day later. */
export function noteHealth(
  record: CredentialRecord,
  { status, reason }: Omit<CredentialHealth, 'since'>,
  now: EpochSeconds,
): CredentialRecord {
  const { health } = record
  const isSame = health.status === status && health.reason === reason
  if (isSame && until(now, health.checkedAt ?? health.since) < checkedAgainAfter) return record
  const since = isSame ? health.since : now
  const shown = { status, since, ...omitUndefined({ reason }), checkedAt: now }
  return { ...record, health: healthAfter(health, shown) }
}

/** One secret of one version: a refresh may replace it by the next. */
export type HeldVersion = Pick<CredentialVersion, 'id' | 'generation'>

/** Nothing is drawn from it any more, and nothing under way can bring it back. The same record where that is so. */
export function revokeRecord(record: CredentialRecord, now: EpochSeconds): CredentialRecord {
  const isOver = record.rotation === undefined && record.versions.every(({ state }) => state !== 'candidate')
  if (record.state === 'revoked' && isOver) return record
  // Without its rotation: one that went on would promote the candidate and bring the credential back by itself.
  const { rotation: _rotation, revocation: _former, ...rest } = record
  const versions = record.versions.map((version) =>
    version.state === 'candidate' ? { ...version, state: 'disabled' as const, changedAt: now } : version,
  )
  return { ...rest, state: 'revoked', versions }
}

export interface Withdrawn {
  readonly revocation: Omit<Revocation, 'at'>
  readonly withdrawn: readonly HeldVersion[]
  readonly now: EpochSeconds
}

/** Drops the secrets that were withdrawn, except where a refresh that is out has put, or may yet put, another there. */
export function noteWithdrawn(
  record: CredentialRecord,
  { revocation, withdrawn, now }: Withdrawn,
): CredentialRecord {
  const generationOf = (version: CredentialVersion) =>
    withdrawn.find(({ id }) => id === version.id)?.generation
  const isRefreshOut = isHeld(record.lease, now)
  const about = record.versions.filter((version) => generationOf(version) !== undefined)
  const dropped = about.filter(
    (version) =>
      version.generation === generationOf(version) && !(isRefreshOut && version.intent !== undefined),
  )
  return {
    ...record,
    revocation: { ...(dropped.length < about.length ? refreshed : revocation), at: now },
    versions: record.versions.map((version) =>
      dropped.includes(version) ? withoutSecret(version) : version,
    ),
  }
}

const refreshed = {
  upstream: 'failed',
  detail: 'a refresh was on its way; revoke it again to finish',
} as const

function withoutSecret(version: CredentialVersion): CredentialVersion {
  const { sealed: _, ...kept } = version
  return kept
}

/** What a credential's state forbids; `why` is told outside too. */
export function stateConflict({ name }: { readonly name: string }, why: string): BrokerError {
  return new BrokerError('state_conflict', { reason: `credential ${name}: ${why}`, publicDetail: why })
}
