import { isBrokerError } from '../domain/broker-error.ts'
import type {
  CredentialSummary,
  Revocation,
  UpstreamRevocation,
  VersionSummary,
} from '../domain/credential.ts'
import type { Credentials } from '../records/credentials.ts'
import type { HeldVersion } from '../records/version-changes.ts'
import { foundCredential } from './credential-faults.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** What came of withdrawing one version upstream. */
export interface Withdrawal {
  readonly result: Exclude<UpstreamRevocation, 'failed'>
  /** For people; never a secret. */
  readonly detail?: string
}

/** Withdraws upstream what a version holds. Throws a `BrokerError` when it could not be done now. */
export type WithdrawVersion = (credential: CredentialSummary, version: VersionSummary) => Promise<Withdrawal>

export interface RevokeCredentialDeps {
  readonly credentials: Pick<Credentials, 'revoke' | 'noteRevocation' | 'heldVersions'>
  readonly withdraw: WithdrawVersion
}

export interface RevokedCredential {
  readonly credential: CredentialSummary
  readonly revocation: Omit<Revocation, 'at'>
}

/** Throws `changed_meanwhile` unless the credential is at that revision, if one is named. */
export type RevokeCredential = (name: string, revision?: string) => Promise<RevokedCredential>

/**
 * Revokes a credential here first, which takes effect on every instance within 10 s (P26), and then upstream. What fails there
 * throws nothing: its secrets are kept, and asking again finishes it. Throws `not_found`.
 */
export function createRevokeCredential({ credentials, withdraw }: RevokeCredentialDeps): RevokeCredential {
  return async (name, revision) => {
    const credential = foundCredential(name, await credentials.revoke(name, revision))
    const outcomes: VersionOutcome[] = []
    // One after the other: the second of two refresh tokens of one grant is dead with the first.
    for (const held of await credentials.heldVersions(name)) {
      const version = credential.versions.find(({ id }) => id === held.id)
      // What was brought after that is another administrator's, and has to be proved first.
      if (version !== undefined)
        outcomes.push({ held, ...(await withdrawOne(withdraw, credential, version)) })
    }
    const before = credential.revocation
    // All was done when it was asked for the last time.
    if (outcomes.length === 0 && before !== undefined) return { credential, revocation: withoutTime(before) }
    const revocation = sumUp(outcomes)
    const withdrawn = outcomes.filter(({ result }) => isOver.has(result)).map(({ held }) => held)
    const after = foundCredential(name, await credentials.noteRevocation(name, revocation, withdrawn))
    return { credential: after, revocation: withoutTime(after.revocation ?? revocation) }
  }
}

interface Outcome {
  readonly result: UpstreamRevocation
  readonly detail?: string
}

interface VersionOutcome extends Outcome {
  readonly held: HeldVersion
}

async function withdrawOne(
  withdraw: WithdrawVersion,
  credential: CredentialSummary,
  version: VersionSummary,
): Promise<Outcome> {
  try {
    return await withdraw(credential, version)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return { result: 'failed', detail: `${error.reason}; revoke it again to finish` }
  }
}

const isOver: ReadonlySet<UpstreamRevocation> = new Set<UpstreamRevocation>(['done', 'already_dead'])
/** The first of these that any version came to is what is told. */
const worstFirst: readonly UpstreamRevocation[] = ['failed', 'not_possible', 'done', 'already_dead']

function sumUp(outcomes: readonly Outcome[]): Omit<Revocation, 'at'> {
  const upstream = worstFirst.find((one) => outcomes.some(({ result }) => result === one)) ?? 'already_dead'
  const details = outcomes.flatMap(({ detail }) => (detail === undefined ? [] : [detail]))
  return { upstream, ...(details.length === 0 ? {} : { detail: [...new Set(details)].join('; ') }) }
}

function withoutTime({ upstream, detail }: Omit<Revocation, 'at'>): Omit<Revocation, 'at'> {
  return { upstream, ...omitUndefined({ detail }) }
}
