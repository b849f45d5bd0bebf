import { isBrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { later, seconds, type EpochSeconds, type Seconds } from '../domain/time.ts'
import { tokenLifeMax } from '../domain/token.ts'
import { activeVersion, type CredentialRecord } from '../records/credential-record.ts'
import type { ReviseRotating, ClaimedStep } from '../records/rotations.ts'
import { disableVersion, reviseVersion } from '../records/version-changes.ts'
import { otherHolder, otherOfClient } from './remove-versions.ts'
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
