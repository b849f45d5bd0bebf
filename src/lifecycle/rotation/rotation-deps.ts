import type { CredentialSummary } from '../../domain/credential.ts'
import type { ScopeSet } from '../../domain/scopes.ts'
import type { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'
import type { Credentials } from '../../records/credentials.ts'
import type { ReviseRotating, Rotations, RotationTurn } from '../../records/rotations.ts'
import type { IamAccount, IamKeys } from './iam-keys.ts'
import type { CreateKeyPair } from './key-pair.ts'

/** What a rotation needs of the world and of the rooms beside it. */
export interface RotationDeps {
  readonly rotations: Rotations
  readonly credentials: Pick<Credentials, 'openSecret' | 'list' | 'heldVersions'>
  readonly iamKeys: IamKeys
  readonly createKeyPair: CreateKeyPair
  /** A token to administer the keys of a credential's account with. Throws as minting does. */
  readonly iamToken: (credential: CredentialSummary) => Promise<Secret>
  readonly prove: ProveVersion
  readonly revoke: RevokeVersion
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

/** One real exchange with one version; throws a `BrokerError` that says why it does not work. */
export type ProveVersion = (
  credential: CredentialSummary,
  version: string,
  scopes?: ScopeSet,
) => Promise<void>

/** Revokes what a version holds at its upstream (RFC 7009). Throws a `BrokerError`. */
export type RevokeVersion = (
  credential: CredentialSummary,
  version: string,
) => Promise<'done' | 'already_dead' | 'no_endpoint'>

/** Takes one step and gives back what is to be written of it; throws a `BrokerError` when it could not be taken. */
export type TakeStep = (deps: RotationDeps, turn: RotationTurn) => Promise<ReviseRotating>

export async function iamAccount(
  { iamToken }: Pick<RotationDeps, 'iamToken'>,
  credential: CredentialSummary,
): Promise<IamAccount> {
  return { email: credential.identity, token: await iamToken(credential) }
}
