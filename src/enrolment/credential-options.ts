import {
  identifiesAsAccount,
  type BoundaryOptions,
  type CredentialOptions,
  type CredentialSummary,
} from '../domain/credential.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { EpochSeconds } from '../domain/time.ts'
import { stateConflict } from '../records/version-changes.ts'
import { invalidDocument } from '../domain/broker-error.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** What is to be otherwise; an absent member stays as it is, and `null` takes it away. */
export interface CredentialChange extends BoundaryChange {
  readonly rotateAfterDays?: number | null
}

export interface BoundaryChange {
  readonly boundarySource?: 'cloud-platform' | null
  readonly boundedLocally?: boolean
  readonly acceptUnproved?: boolean
  /** That Google refuses an intermediary token alone was seen just now. */
  readonly intermediaryRefused?: boolean
}

type Judged = Pick<
  CredentialSummary,
  'name' | 'kind' | 'upstream' | 'consentedScopes' | 'rotateAfterDays' | 'boundaries'
>

/** The options after the change. Throws `document_invalid`, and `state_conflict` for what is not proved. */
export function changedOptions(
  credential: Judged,
  { rotateAfterDays: days, ...change }: CredentialChange,
  now: EpochSeconds,
): CredentialOptions {
  const { kind, rotateAfterDays: before } = credential
  if (typeof days === 'number' && kind !== 'service_account_key')
    throw stateConflict(
      credential,
      `a ${kind} is not made by the broker: bring a new one as the next version`,
    )
  const rotateAfterDays = days === undefined ? before : (days ?? undefined)
  const boundaries = changedBoundaries(credential, change, now)
  return {
    ...omitUndefined({ rotateAfterDays }),
    ...(Object.keys(boundaries).length > 0 && { boundaries }),
  }
}

/**
 * Likewise, how boundaries are put on its tokens. To seal them here takes a service account of Google's, and either
 * proof that Google refuses an intermediary token alone, or an administrator who accepts it unproved: whoever has a
 * sealed token has the intermediary too.
 */
export function changedBoundaries(
  credential: Omit<Judged, 'rotateAfterDays'>,
  change: BoundaryChange,
  now: EpochSeconds,
): BoundaryOptions {
  const { boundaries: before = {} } = credential
  const faults = boundaryFaults(credential, change)
  if (faults.length > 0) throw invalidDocument(faults)
  const source = change.boundarySource === undefined ? before.source : (change.boundarySource ?? undefined)
  const locally = isTrue(change.boundedLocally ?? before.locally)
  const accepted = locally && isTrue(change.acceptUnproved ?? before.acceptUnproved)
  const refusedAt = change.intermediaryRefused === undefined ? before.intermediaryRefusedAt : undefined
  const seenAt = change.intermediaryRefused === true ? now : refusedAt
  if (locally !== undefined && accepted === undefined && seenAt === undefined)
    throw stateConflict(
      credential,
      'it is not recorded for this credential that Google refuses an intermediary token alone: run ' +
        'downscope doctor --live --credential NAME, or say accept_unproved: true',
    )
  return omitUndefined({ source, locally, acceptUnproved: accepted, intermediaryRefusedAt: seenAt })
}

function isTrue(value: boolean | undefined): true | undefined {
  return value === true ? true : undefined
}

function boundaryFaults(
  { kind, upstream, consentedScopes }: Omit<Judged, 'rotateAfterDays'>,
  { boundarySource, boundedLocally }: BoundaryChange,
): readonly string[] {
  const isGoogles = upstream === 'google'
  const faults: string[] = []
  if (boundedLocally === true && !(isGoogles && identifiesAsAccount.has(kind)))
    faults.push('bounded_locally: only a service account of Google’s can be bounded locally')
  if (typeof boundarySource === 'string' && (!isGoogles || kind === 'api_key'))
    faults.push('boundary_source: only an access token of Google’s can be bounded')
  if (typeof boundarySource === 'string' && consentedScopes?.includes(cloudPlatformScope) === false)
    faults.push(`boundary_source: was not consented ${cloudPlatformScope}`)
  return faults
}
