import { BrokerError } from '../../domain/broker-error.ts'
import { seconds, until } from '../../domain/time.ts'
import type { ReviseRotating, RotationTurn } from '../../records/rotations.ts'
import { reviseVersion } from '../../records/version-moves.ts'
import { hasCandidate, withoutOwnKey } from './drop-candidate.ts'
import type { IamAccount } from './iam-keys.ts'
import { findUploaded, listedWithin } from './own-keys.ts'
import { iamAccount, type RotationDeps, type TakeStep } from './rotation-deps.ts'
import { changing, goTo, wait } from './step-outcome.ts'

const lookAgainAfter = seconds(10)

/**
 * Lets the upstream know the public half of the candidate. Where an earlier attempt was not heard of again, it looks
 * for that key first; where a policy forbids uploading, Google is to make the key.
 */
export const uploadKey: TakeStep = async (deps, turn) => {
  const { begunAt, certificate = '' } = turn.rotation
  // What was begun must be over before it is taken back.
  if (!hasCandidate(turn)) return goTo('abort', begunAt === undefined ? {} : { begunAt })
  const account = await iamAccount(deps, turn.credential)
  if (begunAt !== undefined)
    return lookForUpload(deps, turn, { account, age: until(deps.clock.now(), begunAt) })
  const uploaded = await deps.iamKeys.upload(account, certificate)
  if (uploaded.ok) return nameCandidate(deps, turn, uploaded.value)
  if (uploaded.kind !== 'forbidden') return wait({ ...uploaded, mayBeDone: uploaded.kind === 'unknown' })
  const { name: credential } = turn
  const { reason } = uploaded
  deps.log('info', 'rotation: keys may not be uploaded, so Google is to make one', { credential, reason })
  return withoutOwnKey(goTo('count', { method: 'create' }))
}

interface LostUpload {
  readonly account: IamAccount
  readonly age: number
}

async function lookForUpload(
  deps: RotationDeps,
  turn: RotationTurn,
  { account, age }: LostUpload,
): Promise<ReviseRotating> {
  const found = await findUploaded(deps.iamKeys, account, turn)
  if (!found.ok) return wait({ reason: found.reason, mayBeDone: true })
  const [keyId] = found.value
  if (keyId !== undefined) return nameCandidate(deps, turn, keyId)
  const reason = 'the answer to an upload was lost, and the key is not listed upstream'
  if (age < listedWithin) return wait({ reason, after: lookAgainAfter, mayBeDone: true })
  return wait({ reason: `${reason}: uploading it again`, after: seconds(0) })
}

/** The key has a name upstream now, which its assertions carry. */
async function nameCandidate(
  { credentials, rotations }: RotationDeps,
  { name, rotation, credential }: RotationTurn,
  keyId: string,
): Promise<ReviseRotating> {
  const { candidate = '' } = rotation
  const { secret } = await credentials.openSecret(name, candidate)
  if (secret.kind !== 'service_account_key')
    throw new BrokerError('target_unavailable', {
      reason: `version ${candidate} holds no service-account key`,
    })
  const named = await rotations.seal(
    name,
    { secret: { ...secret, keyId }, identity: credential.identity },
    candidate,
  )
  return changing(
    (record) =>
      reviseVersion(record, candidate, (version) =>
        // Disabled meanwhile, it keeps its name, by which its key is found and deleted.
        version.sealed === undefined || named.sealed === undefined
          ? { ...version, keyId }
          : { ...version, keyId, sealed: named.sealed },
      ),
    goTo('prove'),
  )
}
