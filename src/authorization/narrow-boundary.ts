import type { AccessBoundary } from '../domain/access-boundary.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { quote } from '../domain/text.ts'
import { boundaryFaults, describeBoundaryFault, type BoundaryFault } from '../boundaries/boundary.ts'
import type { CompiledRule } from '../policy/compile-policy.ts'
import { intersectBoundaries } from '../boundaries/intersect-boundaries.ts'

export interface BoundaryFor {
  readonly caller: Caller
  readonly credential: CredentialSummary
}

/**
 * The boundary that the token gets: the rule's, the caller's own, or where there are both what both reach; `undefined`
 * when there is neither. `request_malformed` where the caller's is not valid or cannot be compared with the rule's;
 * `target_unavailable` where the rule's has a variable for which the caller has no fitting claim, and where the
 * credential gives nothing that a boundary could be put on.
 */
export function narrowBoundary(
  asked: AccessBoundary | undefined,
  rule: CompiledRule,
  { caller, credential }: BoundaryFor,
): AccessBoundary | undefined {
  const { name, boundary } = rule.rule
  if (boundary.length === 0 && asked === undefined) return undefined
  const where = `rule ${quote(name)}`
  const malformed = (fault: BoundaryFault): BrokerError => {
    const publicDetail = describeBoundaryFault(fault)
    return new BrokerError('request_malformed', {
      reason: `${where}: ${publicDetail}`,
      publicDetail,
      condition: 'boundary',
    })
  }
  // docs/google.md §2.2: Google's STS puts boundaries on Google's access tokens.
  if (credential.upstream !== 'google')
    throw new BrokerError('target_unavailable', {
      reason: `${where}: ${quote(credential.name)} cannot be bounded, only an access token of Google's can`,
      condition: 'boundary',
    })
  const [fault] = asked === undefined ? [] : boundaryFaults(asked)
  if (fault !== undefined) throw malformed(fault)
  if (boundary.length === 0) return asked

  const own = rule.fillBoundary(caller.claims)
  if (!own.ok)
    throw new BrokerError('target_unavailable', {
      reason: `${where}, boundary: ${own.fault}`,
      condition: 'boundary',
    })
  if (asked === undefined) return own.boundary
  const both = intersectBoundaries(asked, own.boundary)
  if (!both.ok) throw malformed(both.fault)
  return both.boundary
}
