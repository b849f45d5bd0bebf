import { isBrokerError } from '../domain/broker-error.ts'
import { healthAfter, type CredentialSummary } from '../domain/credential.ts'
import { until, seconds } from '../domain/time.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { RotationStep } from '../domain/rotation.ts'
import type { ReviseRotating, ClaimedStep } from '../records/rotations.ts'
import { countKeys, createKey, makeKey, uploadKey, removeNewKey } from './make-key.ts'
import { disableFormer, endOverlap } from './retire-versions.ts'
import { type RotationDeps, type TakeStep, wait, changing, goTo } from './rotation-step.ts'
import type { CredentialRecord } from '../records/credential-record.ts'
import { disableVersion, promoteVersion } from '../records/version-changes.ts'
import { hasCandidate } from './own-keys.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface PursueRotationDeps {
  readonly drive: DriveRotation
  readonly find: (name: string) => Promise<CredentialSummary | undefined>
  readonly background: Background
  readonly clock: Clock
  readonly log: Log
  /** How long work after an answer may take: on Workers half a minute. */
  readonly pursuedForMs: number
}

export interface PursueRotation {
  /** Goes on with a rotation that somebody has just begun, after the answer. */
  readonly pursue: (name: string) => void
  /** Takes the steps that are due of a rotation that a request came across. */
  readonly notice: (credential: CredentialSummary) => void
}

/** One look at a rotation in so much time is enough, however many requests come across it. */
const noticedAgainAfterMs = 2_000

/**
 * Drives rotations beside the requests, so that they need not wait for the next maintenance run. Where there is no CPU
 * after an answer it does nothing. What it does not finish, maintenance does.
 */
export function createPursueRotation(deps: PursueRotationDeps): PursueRotation {
  const { drive, find, background, clock, log } = deps
  let lookAgainAtMs = new Map<string, number>()

  const quietly = (name: string, work: () => Promise<void>): void => {
    if (!background.runsAfterAnswer) return
    background.run(async () => {
      try {
        await work()
      } catch (error) {
        if (!isBrokerError(error)) throw error
        log('warn', 'a rotation was not driven on; maintenance will', { credential: name, error })
      }
    })
  }

  const driveOn = async (name: string): Promise<void> => {
    const endMs = clock.steadyMs() + deps.pursuedForMs
    for (;;) {
      await drive(name)
      const rotation = (await find(name))?.rotation
      if (rotation === undefined) return
      const waitMs = Math.max(1, until(rotation.nextTryAt, clock.now())) * 1000
      if (clock.steadyMs() + waitMs > endMs) return
      await clock.sleep(waitMs)
    }
  }

  return {
    pursue: (name) => quietly(name, () => driveOn(name)),
    notice: ({ name, rotation }) => {
      if (rotation === undefined || rotation.nextTryAt > clock.now()) return
      const nowMs = clock.steadyMs()
      if ((lookAgainAtMs.get(name) ?? 0) > nowMs) return
      // Forgets what is over: it holds no more names than there are rotations.
      lookAgainAtMs = new Map([...lookAgainAtMs].filter(([, atMs]) => atMs > nowMs))
      lookAgainAtMs.set(name, nowMs + noticedAgainAfterMs)
      quietly(name, async () => {
        await drive(name)
      })
    },
  }
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
      const claimed = await deps.rotations.claim(name)
      if (claimed === undefined) return taken
      const outcome = await takeStep(deps, claimed)
      const ending = await deps.rotations.settle(claimed, outcome)
      const { step } = claimed.rotation
      deps.log('info', 'rotation: a step was taken', { credential: name, step, ending })
      if (ending === 'settled' && endsRotations.has(step)) await noticeDone(deps, claimed)
    }
    return stepsMax
  }
}

/** Those after which the new version is in use and nothing is left to do. */
const endsRotations: ReadonlySet<RotationStep> = new Set<RotationStep>(['overlap', 'disable'])

async function noticeDone(
  { credentials, notice }: RotationDeps,
  { name, rotation }: ClaimedStep,
): Promise<void> {
  const after = await credentials.find(name)
  if (after === undefined || after.rotation !== undefined) return
  const data = { credential: name, version: after.version }
  notice({ type: 'rotation.done', key: [name, rotation.id], data })
}

async function takeStep(deps: RotationDeps, claimed: ClaimedStep): Promise<ReviseRotating> {
  const { step } = claimed.rotation
  try {
    return await steps[step](deps, claimed)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    deps.log('warn', 'rotation: a step could not be taken', { credential: claimed.name, step, error })
    return wait({ reason: error.reason, mayBeDone: true })
  }
}

/** Google's servers do not all learn of a key at once: one success may be luck. */
const proofsOfKey = 3
/** The former version stands by for ten minutes after every instance knows of the new one. */
const overlap = seconds(600 + 15)

/** Uses the candidate for a real exchange, and promotes it when it worked often enough in a row. */
const proveCandidate: TakeStep = async ({ prove }, claimed) => {
  const { rotation, credential } = claimed
  const { candidate = '', consentedScopes, proofs } = rotation
  if (!hasCandidate(claimed)) return goTo('abort')
  try {
    await prove(credential, candidate, consentedScopes)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return wait({ reason: error.reason })
  }
  return proofs + 1 < proofsNeeded(claimed) ? proveAgain : promote(candidate, claimed)
}

/** Every refresh may rotate the token, and a second one proves nothing more. */
function proofsNeeded({ credential: { kind } }: ClaimedStep): number {
  return kind === 'service_account_key' ? proofsOfKey : 1
}

const proveAgain: ReviseRotating = (record, now) => {
  const { rotation } = record
  return { ...record, rotation: { ...rotation, proofs: rotation.proofs + 1, nextTryAt: now } }
}

function promote(candidate: string, { rotation: { former, consentedScopes } }: ClaimedStep): ReviseRotating {
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
        health: healthAfter(record.health, { status: 'healthy', since: now, checkedAt: now }),
      }
    },
    goTo('overlap', {}, overlap),
  )
}

const steps: Readonly<Record<RotationStep, TakeStep>> = {
  count: countKeys,
  generate: makeKey,
  upload: uploadKey,
  create: createKey,
  prove: proveCandidate,
  overlap: endOverlap,
  disable: disableFormer,
  abort: removeNewKey,
}
