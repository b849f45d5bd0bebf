import type { Revocation } from '../domain/credential.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { CredentialRecord, CredentialVersion } from './credential-record.ts'
import { isHeld } from './lease.ts'

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
