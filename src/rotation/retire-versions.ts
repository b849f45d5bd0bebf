import { isBrokerError, BrokerError } from '../domain/broker-error.ts'
import type {
  CredentialSummary,
  VersionSummary,
  CredentialState,
  VersionState,
} from '../domain/credential.ts'
import { later, seconds, type EpochSeconds, type Seconds } from '../domain/time.ts'
import { tokenLifeMax } from '../domain/token.ts'
import { activeVersion, type CredentialRecord } from '../records/credential-record.ts'
import type { ReviseRotating, ClaimedStep } from '../records/rotations.ts'
import { disableVersion, reviseVersion } from '../records/version-changes.ts'
import { findUploaded } from './own-keys.ts'
import {
  iamAccount,
  type RotationDeps,
  type TakeStep,
  changing,
  endRotation,
  goTo,
  wait,
} from './rotation-step.ts'
import { type Credentials, eachCredential } from '../records/credentials.ts'

/** As long as every instance may still see the former version as one that mints. */
const seenEverywhereAfter = seconds(15)
/** Google's access tokens, when they come from a refresh token. */
const googleTokenLife = seconds(3600)
/** Until it is deleted for good, a key that somebody turns out to need can be switched on again upstream. */
const keptFor = seconds(86_400)

/** Ends the time in which the former version stood by, if the new one works still. */
export const endOverlap: TakeStep = async ({ prove }, claimed) => {
  const { rotation, credential } = claimed
  const { former, withdrawsFormer } = rotation
  if (isRecalled(credential, former)) return goTo('abort')
  try {
    await prove(credential, credential.version, credential.consentedScopes)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return wait({ reason: `the former version stands by still: ${error.reason}` })
  }
  const retired = changing(
    (record, now) => withRemoval(retire(record, former, now), { former, withdrawsFormer }, now),
    withdrawsFormer ? goTo('disable', {}, withdrawnAfter(claimed)) : endRotation,
  )
  // Recalled while the new version was proved: the former one is what callers are served from.
  return (record, now) =>
    activeVersion(record).id === former ? goTo('abort')(record, now) : retired(record, now)
}

/**
 * Revoking a refresh token ends the access tokens that callers hold: the last of them has ended by then, unless
 * somebody asked for the revocation, as after a leak.
 */
function withdrawnAfter({ rotation, credential: { kind, upstream } }: ClaimedStep): Seconds {
  if (kind !== 'refresh_token' || rotation.isWithdrawalAsked === true) return seenEverywhereAfter
  return seconds(seenEverywhereAfter + (upstream === 'google' ? googleTokenLife : tokenLifeMax))
}

/** Somebody may have disabled or destroyed it by hand already. */
function retire(record: CredentialRecord, former: string, now: EpochSeconds): CredentialRecord {
  const isStandby = record.versions.some(({ id, state }) => id === former && state === 'retiring')
  return isStandby ? disableVersion(record, former, now) : record
}

/** Somebody disabled the new version, and the former is active again. */
function isRecalled(credential: CredentialSummary, former: string): boolean {
  return credential.version === former
}

function withRemoval(
  record: CredentialRecord,
  { former, withdrawsFormer }: { readonly former: string; readonly withdrawsFormer: boolean },
  now: EpochSeconds,
): CredentialRecord {
  // What a refresh token stands for is revoked and not deleted.
  const upstreamToo = withdrawsFormer && record.kind === 'service_account_key'
  return reviseVersion(record, former, (version) => ({
    ...version,
    removal: { dueAt: later(now, keptFor), upstreamToo },
  }))
}

/** Withdraws upstream what nobody here uses any more, and whatever a lost answer may have left there twice. */
export const disableFormer: TakeStep = (deps, claimed) =>
  claimed.credential.kind === 'service_account_key' ? disableKeys(deps, claimed) : revokeFormer(deps, claimed)

async function revokeFormer(
  { credentials, revoke, log }: RotationDeps,
  { name, credential, rotation: { former, isWithdrawalAsked } }: ClaimedStep,
): Promise<ReviseRotating> {
  const held = await credentials.heldVersions(name)
  // Revoked with its credential, or destroyed by hand.
  if (!held.some(({ id }) => id === former)) return endRotation
  const client = credential.versions.find(({ id }) => id === former)?.identity
  // Elsewhere a revocation ends the grant of that one token (RFC 7009 §2.1).
  const mayEndOthers = credential.upstream === 'google' && isWithdrawalAsked !== true
  const other =
    client === undefined || !mayEndOthers ? undefined : await otherOfClient(credentials, credential, client)
  if (other !== undefined)
    return wait({
      reason: `credential ${other} is of client ${client} too, and may end with it: move that one as well, or abort`,
    })
  if ((await revoke(credential, former)) === 'no_endpoint')
    log('warn', 'rotation: the former refresh token lives on: its upstream has no revocation endpoint', {
      credential: name,
      version: former,
    })
  return endRotation
}

async function disableKeys(deps: RotationDeps, claimed: ClaimedStep): Promise<ReviseRotating> {
  const { credential, rotation } = claimed
  const account = await iamAccount(deps, credential)
  const { former: version } = rotation
  const keyId = credential.versions.find(({ id }) => id === version)?.keyId
  if (keyId !== undefined) {
    const { name } = claimed
    const other = await otherHolder(deps.credentials, { name, version, keyId })
    if (other !== undefined && other !== name)
      return wait({ reason: `key ${keyId} is in use by credential ${other} too: rotate that one as well` })
    // Brought back under this name, it stays on.
    const disabled = other === undefined ? await deps.iamKeys.disable(account, keyId) : undefined
    if (disabled?.ok === false) return wait(disabled)
  }
  if (rotation.method !== 'upload') return endRotation
  const uploaded = await findUploaded(deps.iamKeys, account, claimed)
  if (!uploaded.ok) return wait(uploaded)
  for (const twin of uploaded.value.filter((id) => id !== credential.keyId)) {
    const removed = await deps.iamKeys.remove(account, twin)
    if (!removed.ok) return wait(removed)
  }
  return endRotation
}

interface RemoveVersionsDeps extends Pick<RotationDeps, 'iamKeys' | 'iamToken' | 'clock' | 'log'> {
  readonly credentials: Pick<Credentials, 'removeVersion' | 'list'>
}

interface RemovedVersions {
  readonly removed: readonly string[]
  /** Why others that are due have to stay for now. */
  readonly waiting: readonly string[]
}

/** Deletes upstream and destroys here what is due of one credential and nobody needs. Throws what stopped it. */
export type RemoveVersions = (credential: CredentialSummary) => Promise<RemovedVersions>

export function createRemoveVersions(deps: RemoveVersionsDeps): RemoveVersions {
  return async (credential) => {
    const removed: string[] = []
    const waiting: string[] = []
    for (const version of dueVersions(credential, deps.clock.now())) {
      // Upstream first: as long as it is not gone there, it stays noted here.
      const reason =
        version.removal?.upstreamToo === true ? await removeKey(deps, credential, version) : undefined
      if (reason !== undefined) {
        waiting.push(reason)
        continue
      }
      await deps.credentials.removeVersion(credential.name, version.id)
      const { name, id, keyId } = { ...credential, ...version }
      deps.log('info', 'rotation: a former version is removed', { credential: name, version: id, keyId })
      removed.push(id)
    }
    return { removed, waiting }
  }
}

function dueVersions(credential: CredentialSummary, now: EpochSeconds): readonly VersionSummary[] {
  return credential.versions.filter(
    (version) => removalIsDue(version, now) && !isToBeRevoked(version, credential),
  )
}

/** A refresh token is revoked by showing it: until that is done, its secret is needed. */
function isToBeRevoked({ id }: VersionSummary, { kind, rotation }: CredentialSummary): boolean {
  return kind === 'refresh_token' && rotation?.step === 'disable' && rotation.former === id
}

function removalIsDue({ removal }: VersionSummary, now: EpochSeconds): boolean {
  return removal !== undefined && removal.dueAt <= now
}

/** Or why it has to stay: a key that is deleted never comes back. */
async function removeKey(
  deps: RemoveVersionsDeps,
  credential: CredentialSummary,
  { id: version, keyId }: VersionSummary,
): Promise<string | undefined> {
  if (keyId === undefined) return undefined
  const { name } = credential
  const needs = needsKeyAt(deps.clock.now())
  const other = await otherHolder(deps.credentials, { name, version, keyId }, needs)
  // Brought back under this name, it goes with the version that holds it now.
  if (other === name) return undefined
  if (other !== undefined)
    return `key ${keyId} is kept for credential ${other}: it goes a day after that one is rotated`
  const removed = await deps.iamKeys.remove(await iamAccount(deps, credential), keyId)
  if (!removed.ok) throw new BrokerError('upstream_unavailable', { reason: removed.reason })
  return undefined
}

/** A credential that has just stopped using a key may have to go back to it: each key has its day. */
function needsKeyAt(now: EpochSeconds): NeedsKey {
  return (version, state) =>
    drawsOnKey(version, state) || (version.removal?.upstreamToo === true && !removalIsDue(version, now))
}

const used: ReadonlySet<VersionState> = new Set<VersionState>(['candidate', 'active', 'retiring'])

/** A version of a credential, and the key that it holds. */
interface HeldKey {
  readonly name: string
  readonly version: string
  readonly keyId: string
}

/** Whether a version of a credential in that state needs its key upstream. */
type NeedsKey = (version: VersionSummary, state: CredentialState) => boolean

/** A revoked credential draws on what it is brought anew alone. */
const drawsOnKey: NeedsKey = ({ state }, credentialState) =>
  credentialState === 'revoked' ? state === 'candidate' : used.has(state)

/**
 * The name of a credential, perhaps the same one, of which another version needs that key: one file may have been
 * enrolled under two names, or brought back, and what is withdrawn for the one would be gone for the other. Throws
 * `store_unavailable` where none is found and one could not be read, which may need it.
 */
function otherHolder(
  credentials: Pick<Credentials, 'list'>,
  { name, version, keyId }: HeldKey,
  needs: NeedsKey = drawsOnKey,
): Promise<string | undefined> {
  return nameOfFirst(credentials, (one) =>
    one.versions.some(
      (held) => held.keyId === keyId && !(one.name === name && held.id === version) && needs(held, one.state),
    ),
  )
}

/**
 * The name of another credential that draws on consents to that OAuth client: of one user Google has one grant. Throws
 * as above.
 */
function otherOfClient(
  credentials: Pick<Credentials, 'list'>,
  { name, upstream }: CredentialSummary,
  client: string,
): Promise<string | undefined> {
  return nameOfFirst(
    credentials,
    (one) =>
      one.name !== name &&
      one.kind === 'refresh_token' &&
      one.upstream === upstream &&
      one.versions.some((held) => held.identity === client && drawsOnKey(held, one.state)),
  )
}

async function nameOfFirst(
  credentials: Pick<Credentials, 'list'>,
  isWanted: (credential: CredentialSummary) => boolean,
): Promise<string | undefined> {
  let unread: BrokerError | undefined
  const onMalformed = (error: BrokerError) => {
    unread ??= error
  }
  for await (const credential of eachCredential(credentials, { onMalformed }))
    if (isWanted(credential)) return credential.name
  if (unread === undefined) return undefined
  throw new BrokerError('store_unavailable', {
    reason: `nothing is withdrawn upstream while a credential that may need it cannot be read: ${unread.reason}`,
  })
}
