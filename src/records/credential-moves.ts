import type { CredentialHealth, CredentialState } from '../domain/credential.ts'
import { seconds, until, type EpochSeconds } from '../domain/time.ts'
import type { CredentialRecord } from './credential-record.ts'
import { stateConflict } from './state-conflict.ts'

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

/** `undefined` for days: never by itself. */
export function rotateAfter(record: CredentialRecord, days: number | undefined): CredentialRecord {
  const { rotateAfterDays: _, ...rest } = record
  return { ...rest, ...(days === undefined ? {} : { rotateAfterDays: days }) }
}

/** How it fares; news are another status or reason, or the same half a day later. */
export function noteHealth(
  record: CredentialRecord,
  { status, reason }: Omit<CredentialHealth, 'since'>,
  now: EpochSeconds,
): CredentialRecord {
  const { health } = record
  const isSame = health.status === status && health.reason === reason
  if (isSame && until(now, health.checkedAt ?? health.since) < checkedAgainAfter) return record
  const since = isSame ? health.since : now
  return {
    ...record,
    health: { status, since, ...(reason === undefined ? {} : { reason }), checkedAt: now },
  }
}
