import { later, seconds, until, type EpochSeconds } from '../../domain/time.ts'
import type { CredentialRecord } from '../../records/credential-record.ts'
import type { ReviseRotating, RotationTurn } from '../../records/rotations.ts'
import { addCandidate } from '../../records/version-moves.ts'
import { parseJsonObject } from '../../domain/json-object.ts'
import { octetsOf } from '../pem.ts'
import { parseCredentialFile } from '../parse-credential-file.ts'
import type { CreatedKey, IamAccount } from './iam-keys.ts'
import { findCreated, listedWithin } from './own-keys.ts'
import { iamAccount, type RotationDeps, type TakeStep } from './rotation-deps.ts'
import { changing, goTo, wait } from './step-outcome.ts'

const lookAgainAfter = seconds(10)
/** Switched off at once, and not deleted before anybody who does use it could have complained. */
const orphansKeptFor = seconds(86_400)

/**
 * Lets Google make a key, whose private half is in that one answer. A key whose answer was lost is of no use: it is
 * switched off, noted for deletion, and another one is made.
 */
export const createKey: TakeStep = async (deps, turn) => {
  const account = await iamAccount(deps, turn.credential)
  if (turn.rotation.begunAt !== undefined) return lookForOrphan(deps, turn, account)
  const created = await deps.iamKeys.create(account)
  if (created.ok) return keepCreated(deps, turn, created.value)
  if (created.kind !== 'forbidden') return wait({ ...created, mayBeDone: created.kind === 'unknown' })
  return wait({
    reason: `an organisation policy forbids uploading keys and creating them: ${created.reason}`,
  })
}

async function keepCreated(
  { rotations }: RotationDeps,
  { name, credential }: RotationTurn,
  { id, file }: CreatedKey,
): Promise<ReviseRotating> {
  const octets = octetsOf(file.reveal())
  const members = octets === undefined ? undefined : parseJsonObject(new TextDecoder().decode(octets))
  const judgement = parseCredentialFile({ secret: members }, undefined)
  const secret = judgement.ok ? judgement.credential.secret : undefined
  const isUsable = secret?.kind === 'service_account_key' && secret.clientEmail === credential.identity
  // As if the answer were lost: the key is there, and nobody can use it.
  if (!isUsable) return wait({ reason: 'Google made a key, and its file cannot be read', mayBeDone: true })
  const { identity } = credential
  const candidate = await rotations.seal(name, { secret: { ...secret, keyId: id }, identity, keyId: id })
  return changing((record) => addCandidate(record, candidate), goTo('prove', { candidate: candidate.id }))
}

async function lookForOrphan(
  { iamKeys, clock, log }: RotationDeps,
  turn: RotationTurn,
  account: IamAccount,
): Promise<ReviseRotating> {
  const listed = await iamKeys.list(account)
  if (!listed.ok) return wait({ reason: listed.reason, mayBeDone: true })
  const found = findCreated(listed.value, turn)
  const [orphan, ...others] = found
  if (others.length > 0)
    return wait({
      reason:
        `keys ${found.join(', ')} appeared while the answer to a creation was lost, and it cannot be told which is ` +
        'ours: abort the rotation, and delete by hand what nobody uses',
      mayBeDone: true,
    })
  if (orphan === undefined) {
    const reason = 'the answer to a creation was lost, and no new key is listed upstream'
    const age = until(clock.now(), turn.rotation.begunAt ?? clock.now())
    if (age < listedWithin) return wait({ reason, after: lookAgainAfter, mayBeDone: true })
    return goTo('count')
  }
  const disabled = await iamKeys.disable(account, orphan)
  if (!disabled.ok) return wait({ reason: disabled.reason, mayBeDone: true })
  log('warn', 'rotation: a key whose private half was lost is switched off', {
    credential: turn.name,
    keyId: orphan,
  })
  return changing((record, now) => withOrphan(record, orphan, now), goTo('count'))
}

/** A version without a secret: the key is remembered until it is deleted upstream. */
export function withOrphan(record: CredentialRecord, keyId: string, now: EpochSeconds): CredentialRecord {
  const orphan = {
    id: `orphan-${keyId}`,
    state: 'destroyed' as const,
    identity: record.versions.find(({ state }) => state === 'active')?.identity ?? '',
    keyId,
    generation: 0,
    createdAt: now,
    changedAt: now,
    removal: { dueAt: later(now, orphansKeptFor), upstreamToo: true },
  }
  return { ...record, versions: [...record.versions.filter(({ id }) => id !== orphan.id), orphan] }
}
