import { isBrokerError } from '../../domain/broker-error.ts'
import type { RotationStep } from '../../domain/rotation.ts'
import type { ReviseRotating, RotationTurn } from '../../records/rotations.ts'
import { countKeys } from './count-keys.ts'
import { createKey } from './create-key.ts'
import { makeKey } from './make-key.ts'
import { proveCandidate } from './prove-candidate.ts'
import { disableFormer, endOverlap } from './retire-former.ts'
import type { RotationDeps, TakeStep } from './rotation-deps.ts'
import { wait } from './step-outcome.ts'
import { takeBack } from './take-back.ts'
import { uploadKey } from './upload-key.ts'

const steps: Readonly<Record<RotationStep, TakeStep>> = {
  count: countKeys,
  generate: makeKey,
  upload: uploadKey,
  create: createKey,
  prove: proveCandidate,
  overlap: endOverlap,
  disable: disableFormer,
  abort: takeBack,
}

/** A rotation at its quickest takes seven steps until it has to wait. */
const stepsMax = 12

/**
 * Takes the steps of a rotation that are due, one after the other, each under a lease of its own; waits for nothing.
 * How many it took. Any instance may call it at any time, and so may two at once. Throws `store_unavailable`.
 */
export type DriveRotation = (name: string) => Promise<number>

export function createDriveRotation(deps: RotationDeps): DriveRotation {
  return async (name) => {
    for (let taken = 0; taken < stepsMax; taken += 1) {
      const turn = await deps.rotations.claim(name)
      if (turn === undefined) return taken
      const outcome = await takeStep(deps, turn)
      const ending = await deps.rotations.settle(turn, outcome)
      const { step } = turn.rotation
      deps.log('info', 'rotation: a step was taken', { credential: name, step, ending })
    }
    return stepsMax
  }
}

async function takeStep(deps: RotationDeps, turn: RotationTurn): Promise<ReviseRotating> {
  const { step } = turn.rotation
  try {
    return await steps[step](deps, turn)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    deps.log('warn', 'rotation: a step could not be taken', { credential: turn.name, step, error })
    return wait({ reason: error.reason, mayBeDone: true })
  }
}
