import { addCandidate } from '../../records/version-moves.ts'
import { changing, goTo } from './step-outcome.ts'
import type { TakeStep } from './rotation-deps.ts'

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
