import type { EpochSeconds } from '../../domain/time.ts'
import type { CredentialRecord } from '../../records/credential-record.ts'
import type { ReviseRotating, RotationTurn } from '../../records/rotations.ts'
import { destroyVersion, disableVersion } from '../../records/version-moves.ts'

/** Whether its candidate is one still: to disable that by hand is to abort the rotation. */
export function hasCandidate({ rotation, credential }: RotationTurn): boolean {
  return credential.versions.some(({ id, state }) => id === rotation.candidate && state === 'candidate')
}

/** Destroys what has not become active; what is gone already is no matter. */
function dropCandidate(record: CredentialRecord, id: string, now: EpochSeconds): CredentialRecord {
  const version = record.versions.find((one) => one.id === id)
  if (version === undefined || version.state === 'destroyed') return record
  return destroyVersion(disableVersion(record, id, now), id, now)
}

/** The rotation goes on without the key it had made. */
export function withoutOwnKey(next: ReviseRotating): ReviseRotating {
  return (record, now) => {
    const { candidate = '', certificate: _, ...rotation } = record.rotation
    return next({ ...dropCandidate(record, candidate, now), rotation }, now)
  }
}
