import { seconds, until } from '../domain/time.ts'
import type { ReviseRotating, RotationTurn } from '../records/rotations.ts'
import { withOrphan } from './make-key.ts'
import { withoutOwnKey, findCreated, findUploaded, listedWithin } from './own-keys.ts'
import type { IamAccount } from '../google/iam-keys.ts'
import { iamAccount, type RotationDeps, type TakeStep, changing, endRotation, wait } from './rotation-step.ts'

const lookAgainAfter = seconds(10)

/** Takes back what a rotation made: its key upstream first, then the candidate here. What a person brought is theirs. */
export const removeNewKey: TakeStep = async (deps, turn) => {
  const { rotation, credential } = turn
  // Never what callers are served from, however it came to that.
  if (credential.version === rotation.candidate) return endRotation
  const madeNothing = rotation.candidate === undefined && rotation.begunAt === undefined
  if (rotation.method === 'import' || madeNothing) return withoutOwnKey(endRotation)
  const account = await iamAccount(deps, credential)
  const keyId = credential.versions.find(({ id }) => id === rotation.candidate)?.keyId
  if (keyId !== undefined) {
    const removed = await deps.iamKeys.remove(account, keyId)
    if (!removed.ok) return wait(removed)
    // An upload whose answer was lost may have left the key there a second time, under another name.
    return rotation.method === 'upload' ? takeBackUploaded(deps, turn, account) : withoutOwnKey(endRotation)
  }
  // What was begun and not heard of: looked for until it would be listed.
  const begunAt = rotation.begunAt ?? rotation.since
  if (until(deps.clock.now(), begunAt) < listedWithin && rotation.begunAt !== undefined)
    return wait({
      reason: 'an answer was lost: waiting until its key would be listed upstream',
      after: lookAgainAfter,
      mayBeDone: true,
    })
  return rotation.method === 'upload'
    ? takeBackUploaded(deps, turn, account)
    : takeBackCreated(deps, turn, account)
}

async function takeBackUploaded(
  { iamKeys }: RotationDeps,
  turn: RotationTurn,
  account: IamAccount,
): Promise<ReviseRotating> {
  const found = await findUploaded(iamKeys, account, turn)
  if (!found.ok) return wait({ reason: found.reason, mayBeDone: true })
  for (const keyId of found.value) {
    const removed = await iamKeys.remove(account, keyId)
    if (!removed.ok) return wait({ reason: removed.reason, mayBeDone: true })
  }
  return withoutOwnKey(endRotation)
}

async function takeBackCreated(
  { iamKeys, log }: RotationDeps,
  turn: RotationTurn,
  account: IamAccount,
): Promise<ReviseRotating> {
  const listed = await iamKeys.list(account)
  if (!listed.ok) return wait({ reason: listed.reason, mayBeDone: true })
  const [orphan, ...others] = findCreated(listed.value, turn)
  if (orphan === undefined) return withoutOwnKey(endRotation)
  if (others.length > 0) {
    // Which is ours cannot be told, and somebody else's must not be touched.
    log('error', 'rotation aborted: one of these keys is an orphan; delete by hand what nobody uses', {
      credential: turn.name,
      keyIds: [orphan, ...others],
    })
    return withoutOwnKey(endRotation)
  }
  const disabled = await iamKeys.disable(account, orphan)
  if (!disabled.ok) return wait({ reason: disabled.reason, mayBeDone: true })
  return changing((record, now) => withOrphan(record, orphan, now), withoutOwnKey(endRotation))
}
