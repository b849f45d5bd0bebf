import type { EpochSeconds } from './time.ts'

/**
 * What a rotation does next; written down before it is done. `count`: see what keys there are upstream. `generate`:
 * make a key pair here. `upload`: let the upstream know its public half. `create`: let the upstream make a key, where
 * uploading is forbidden. `prove`: exchange with the candidate until it works three times in a row. `overlap`: the
 * candidate is active, the former version stands by. `disable`: the former key is switched off upstream, or the
 * former refresh token revoked. `abort`: take everything back.
 */
export const rotationSteps = [
  'count',
  'generate',
  'upload',
  'create',
  'prove',
  'overlap',
  'disable',
  'abort',
] as const

export type RotationStep = (typeof rotationSteps)[number]

/** Where the new secret comes from: our key and its certificate, a key of the upstream's making, or a person. */
export const rotationMethods = ['upload', 'create', 'import'] as const

export type RotationMethod = (typeof rotationMethods)[number]

/** A rotation under way, as it is shown: never a secret. */
export interface RotationStatus {
  readonly id: string
  readonly method: RotationMethod
  readonly step: RotationStep
  /** Since when it is at this step. */
  readonly since: EpochSeconds
  readonly startedAt: EpochSeconds
  /** Nothing happens before. */
  readonly nextTryAt: EpochSeconds
  /** How often this step failed. */
  readonly failures: number
  /** Why it could not go on when it was last tried. */
  readonly reason?: string
  /** The version that is to become active, once there is one. */
  readonly candidate?: string
  /** The version that was active when it began. */
  readonly former: string
}
