import { isBrokerError } from '../domain/broker-error.ts'
import { seconds } from '../domain/time.ts'
import type { CredentialRecord } from '../records/credential-record.ts'
import type { ReviseRotating, RotationTurn } from '../records/rotations.ts'
import { disableVersion, promoteVersion } from '../records/version-changes.ts'
import { hasCandidate } from './own-keys.ts'
import { type TakeStep, changing, goTo, wait } from './rotation-step.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Google's servers do not all learn of a key at once: one success may be luck. */
const proofsOfKey = 3
/** The former version stands by for ten minutes after every instance knows of the new one. */
const overlap = seconds(600 + 15)

/** Uses the candidate for a real exchange, and promotes it when it worked often enough in a row. */
export const proveCandidate: TakeStep = async ({ prove }, turn) => {
  const { rotation, credential } = turn
  const { candidate = '', consentedScopes, proofs } = rotation
  if (!hasCandidate(turn)) return goTo('abort')
  try {
    await prove(credential, candidate, consentedScopes)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return wait({ reason: error.reason })
  }
  return proofs + 1 < proofsNeeded(turn) ? proveAgain : promote(candidate, turn)
}

/** Every refresh may rotate the token, and a second one proves nothing more. */
function proofsNeeded({ credential: { kind } }: RotationTurn): number {
  return kind === 'service_account_key' ? proofsOfKey : 1
}

const proveAgain: ReviseRotating = (record, now) => {
  const { rotation } = record
  return { ...record, rotation: { ...rotation, proofs: rotation.proofs + 1, nextTryAt: now } }
}

function promote(candidate: string, { rotation: { former, consentedScopes } }: RotationTurn): ReviseRotating {
  return changing(
    (before, now): CredentialRecord => {
      const { narrowing: _, ...record } = before
      // Another grant may be narrowed where the former could not, and the other way round.
      const promoted = promoteVersion(record, candidate, now)
      return {
        // A revoked credential comes back with its new secret, and without the old one.
        ...(record.state === 'revoked' ? disableVersion(promoted, former, now) : promoted),
        state: record.state === 'revoked' ? 'enabled' : record.state,
        ...omitUndefined({ consentedScopes }),
        health: { status: 'healthy', since: now, checkedAt: now },
      }
    },
    goTo('overlap', {}, overlap),
  )
}
