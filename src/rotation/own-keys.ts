import { seconds, until, type EpochSeconds } from '../domain/time.ts'
import type { ClaimedStep, ReviseRotating } from '../records/rotations.ts'
import type { IamAccount, IamKey, IamKeys, IamResult } from '../google/iam-keys.ts'
import type { CredentialRecord } from '../records/credential-record.ts'
import { destroyVersion, disableVersion } from '../records/version-changes.ts'

/** Reads of the IAM API lag behind writes (docs/google.md §3.2): what is not listed by then was never made. */
export const listedWithin = seconds(60)
/** Clocks differ, and a request may take some seconds. */
const createdAround = seconds(60)

/**
 * The keys upstream that this rotation uploaded, known by their certificate, whether or not an answer ever came. What
 * others made meanwhile is not among them.
 */
export async function findUploaded(
  iamKeys: IamKeys,
  account: IamAccount,
  { rotation }: ClaimedStep,
): Promise<IamResult<readonly string[]>> {
  const { certificate, knownKeys = [] } = rotation
  const listed = await iamKeys.list(account)
  if (!listed.ok) return listed
  const found: string[] = []
  for (const { id, isUploaded } of listed.value) {
    if (!isUploaded || knownKeys.includes(id)) continue
    const theirs = await iamKeys.certificateOf(account, id)
    if (theirs.ok && theirs.value === certificate) found.push(id)
    if (!theirs.ok && theirs.kind !== 'gone') return theirs
  }
  return { ok: true, value: found }
}

/**
 * The keys that Google may have made for a request of this rotation whose answer never came: made about then, not
 * known before, and none of the credential's versions. More than one may be somebody else's.
 */
export function findCreated(
  keys: readonly IamKey[],
  { rotation, credential }: ClaimedStep,
): readonly string[] {
  const { begunAt, knownKeys = [] } = rotation
  if (begunAt === undefined) return []
  const ours = new Set([...knownKeys, ...credential.versions.map(({ keyId }) => keyId)])
  return keys
    .filter(({ id, isUploaded }) => !isUploaded && !ours.has(id))
    .filter(({ validAfter }) => Math.abs(until(validAfter, begunAt)) <= createdAround)
    .map(({ id }) => id)
}

/** Whether its candidate is one still: to disable that by hand is to abort the rotation. */
export function hasCandidate({ rotation, credential }: ClaimedStep): boolean {
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
