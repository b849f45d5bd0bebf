import { addCandidate, reviseVersion } from '../records/version-changes.ts'
import {
  changing,
  goTo,
  type TakeStep,
  iamAccount,
  type RotationDeps,
  wait,
  endRotation,
} from './rotation-step.ts'
import { later, seconds, until, type EpochSeconds } from '../domain/time.ts'
import type { CredentialRecord } from '../records/credential-record.ts'
import type { ReviseRotating, ClaimedStep } from '../records/rotations.ts'
import { parseJsonObject } from '../domain/json.ts'
import { octetsOf } from '../domain/pem.ts'
import { parseCredentialFile } from '../enrolment/parse-credential-file.ts'
import type { CreatedKey, IamAccount } from '../google/iam-keys.ts'
import { findCreated, listedWithin, hasCandidate, withoutOwnKey, findUploaded } from './own-keys.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/**
 * Makes a key pair and keeps it, sealed, before anybody hears of its public half: a crash later loses no key that is
 * known upstream.
 */
export const makeKey: TakeStep = async ({ createKeyPair, rotations }, { name, credential }) => {
  const { identity } = credential
  const { privateKey, certificate } = await createKeyPair(name)
  // Its name upstream is not known before it is uploaded.
  const secret = { kind: 'service_account_key', clientEmail: identity, keyId: '', privateKey } as const
  const candidate = await rotations.seal(name, { secret, identity })
  return changing(
    (record) => addCandidate(record, candidate),
    goTo('upload', { candidate: candidate.id, certificate }),
  )
}

const lookAgainAfter = seconds(10)
/** Switched off at once, and not deleted before anybody who does use it could have complained. */
const orphansKeptFor = seconds(86_400)

/**
 * Lets Google make a key, whose private half is in that one answer. A key whose answer was lost is of no use: it is
 * switched off, noted for deletion, and another one is made.
 */
export const createKey: TakeStep = async (deps, claimed) => {
  const account = await iamAccount(deps, claimed.credential)
  if (claimed.rotation.begunAt !== undefined) return lookForOrphan(deps, claimed, account)
  const created = await deps.iamKeys.create(account)
  if (created.ok) return keepCreated(deps, claimed, created.value)
  if (created.kind !== 'forbidden') return wait({ ...created, mayBeDone: created.kind === 'unknown' })
  return wait({
    reason: `an organisation policy forbids uploading keys and creating them: ${created.reason}`,
  })
}

async function keepCreated(
  { rotations }: RotationDeps,
  { name, credential }: ClaimedStep,
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
  claimed: ClaimedStep,
  account: IamAccount,
): Promise<ReviseRotating> {
  const listed = await iamKeys.list(account)
  if (!listed.ok) return wait({ reason: listed.reason, mayBeDone: true })
  const found = findCreated(listed.value, claimed)
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
    const age = until(clock.now(), claimed.rotation.begunAt ?? clock.now())
    if (age < listedWithin) return wait({ reason, after: lookAgainAfter, mayBeDone: true })
    return goTo('count')
  }
  const disabled = await iamKeys.disable(account, orphan)
  if (!disabled.ok) return wait({ reason: disabled.reason, mayBeDone: true })
  log('warn', 'rotation: a key whose private half was lost is switched off', {
    credential: claimed.name,
    keyId: orphan,
  })
  return changing((record, now) => withOrphan(record, orphan, now), goTo('count'))
}

/** A version without a secret: the key is remembered until it is deleted upstream. */
function withOrphan(record: CredentialRecord, keyId: string, now: EpochSeconds): CredentialRecord {
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

const uploadListedAfter = seconds(10)

/**
 * Lets the upstream know the public half of the candidate. Where an earlier attempt was not heard of again, it looks
 * for that key first; where a policy forbids uploading, Google is to make the key.
 */
export const uploadKey: TakeStep = async (deps, claimed) => {
  const { begunAt, certificate = '' } = claimed.rotation
  // What was begun must be over before it is taken back.
  if (!hasCandidate(claimed)) return goTo('abort', omitUndefined({ begunAt }))
  const account = await iamAccount(deps, claimed.credential)
  if (begunAt !== undefined)
    return lookForUpload(deps, claimed, { account, age: until(deps.clock.now(), begunAt) })
  const uploaded = await deps.iamKeys.upload(account, certificate)
  if (uploaded.ok) return nameCandidate(deps, claimed, uploaded.value)
  if (uploaded.kind !== 'forbidden') return wait({ ...uploaded, mayBeDone: uploaded.kind === 'unknown' })
  const { name: credential } = claimed
  const { reason } = uploaded
  deps.log('info', 'rotation: keys may not be uploaded, so Google is to make one', { credential, reason })
  return withoutOwnKey(goTo('count', { method: 'create' }))
}

async function lookForUpload(
  deps: RotationDeps,
  claimed: ClaimedStep,
  { account, age }: { readonly account: IamAccount; readonly age: number },
): Promise<ReviseRotating> {
  const found = await findUploaded(deps.iamKeys, account, claimed)
  if (!found.ok) return wait({ reason: found.reason, mayBeDone: true })
  const [keyId] = found.value
  if (keyId !== undefined) return nameCandidate(deps, claimed, keyId)
  const reason = 'the answer to an upload was lost, and the key is not listed upstream'
  if (age < listedWithin) return wait({ reason, after: uploadListedAfter, mayBeDone: true })
  return wait({ reason: `${reason}: uploading it again`, after: seconds(0) })
}

/** The key has a name upstream now, which its assertions carry. */
async function nameCandidate(
  { credentials, rotations }: RotationDeps,
  { name, rotation, credential }: ClaimedStep,
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

/** docs/google.md §3.2: at the limit Google only says that some precondition failed. */
const keysMax = 10

/** Knows what keys there are before it makes one, and names the cause when no other fits. */
export const countKeys: TakeStep = async (deps, { rotation, credential }) => {
  const listed = await deps.iamKeys.list(await iamAccount(deps, credential))
  if (!listed.ok) return wait(listed)
  const ids = listed.value.map(({ id }) => id)
  if (ids.length >= keysMax) {
    const held = new Set(credential.versions.map(({ keyId }) => keyId))
    const strangers = ids.filter((id) => !held.has(id))
    return wait({
      reason:
        `${credential.identity} has ${ids.length} user-managed keys and Google allows ${keysMax}: delete one that ` +
        `nobody uses; this broker does not hold ${strangers.join(', ') || 'any other'}`,
    })
  }
  return goTo(rotation.method === 'create' ? 'create' : 'generate', { knownKeys: ids })
}

/** Undoes what a rotation made: its key upstream first, then the candidate here. A secret that a person brought stays. */
export const removeNewKey: TakeStep = async (deps, claimed) => {
  const { rotation, credential } = claimed
  // Never the active version, however the rotation came to that.
  if (credential.version === rotation.candidate) return endRotation
  const madeNothing = rotation.candidate === undefined && rotation.begunAt === undefined
  if (rotation.method === 'import' || madeNothing) return withoutOwnKey(endRotation)
  const account = await iamAccount(deps, credential)
  const keyId = credential.versions.find(({ id }) => id === rotation.candidate)?.keyId
  if (keyId !== undefined) {
    const removed = await deps.iamKeys.remove(account, keyId)
    if (!removed.ok) return wait(removed)
    // An upload whose answer was lost may have left the key there a second time, under another name.
    return rotation.method === 'upload'
      ? removeUploadedKey(deps, claimed, account)
      : withoutOwnKey(endRotation)
  }
  // The answer was lost: the key is looked for until the upstream would list it.
  const begunAt = rotation.begunAt ?? rotation.since
  if (until(deps.clock.now(), begunAt) < listedWithin && rotation.begunAt !== undefined)
    return wait({
      reason: 'an answer was lost: waiting until its key would be listed upstream',
      after: lookAgainAfter,
      mayBeDone: true,
    })
  return rotation.method === 'upload'
    ? removeUploadedKey(deps, claimed, account)
    : disableCreatedKey(deps, claimed, account)
}

async function removeUploadedKey(
  { iamKeys }: RotationDeps,
  claimed: ClaimedStep,
  account: IamAccount,
): Promise<ReviseRotating> {
  const found = await findUploaded(iamKeys, account, claimed)
  if (!found.ok) return wait({ reason: found.reason, mayBeDone: true })
  for (const keyId of found.value) {
    const removed = await iamKeys.remove(account, keyId)
    if (!removed.ok) return wait({ reason: removed.reason, mayBeDone: true })
  }
  return withoutOwnKey(endRotation)
}

async function disableCreatedKey(
  { iamKeys, log }: RotationDeps,
  claimed: ClaimedStep,
  account: IamAccount,
): Promise<ReviseRotating> {
  const listed = await iamKeys.list(account)
  if (!listed.ok) return wait({ reason: listed.reason, mayBeDone: true })
  const [orphan, ...others] = findCreated(listed.value, claimed)
  if (orphan === undefined) return withoutOwnKey(endRotation)
  if (others.length > 0) {
    // Which is ours cannot be told, and somebody else's must not be touched.
    log('error', 'rotation aborted: one of these keys is an orphan; delete by hand what nobody uses', {
      credential: claimed.name,
      keyIds: [orphan, ...others],
    })
    return withoutOwnKey(endRotation)
  }
  const disabled = await iamKeys.disable(account, orphan)
  if (!disabled.ok) return wait({ reason: disabled.reason, mayBeDone: true })
  return changing((record, now) => withOrphan(record, orphan, now), withoutOwnKey(endRotation))
}
