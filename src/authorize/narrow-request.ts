import type { AccessBoundary } from '../domain/access-boundary.ts'
import { requestMalformed } from '../domain/broker-error.ts'
import type { CredentialKind } from '../domain/credential.ts'
import type { Rule } from '../domain/policy.ts'
import type { Seconds } from '../domain/time.ts'
import { boundaryFaults, isContained } from './boundary.ts'
import { shortestLife } from './token-life.ts'

/**
 * The longest life that the token may turn out to have: the rule's, which minting holds against what the upstream
 * gave. What is asked for shortens nothing, since no kind of credential can yet shorten a token: a life that could not
 * be kept is `request_malformed`.
 */
export function narrowLifetime(
  asked: Seconds | undefined,
  rule: Rule,
  kind: CredentialKind,
): Seconds | undefined {
  if (asked === undefined) return rule.lifetimeMax
  if (!Number.isSafeInteger(asked) || asked <= 0)
    throw requestMalformed('requested_lifetime must be a whole number of seconds', 'requested_lifetime')
  if (rule.lifetimeMax !== undefined && asked > rule.lifetimeMax)
    throw requestMalformed(
      'requested_lifetime is longer than what this caller may have',
      'lifetime_seconds_max',
    )
  if (asked < shortestLife(kind))
    throw requestMalformed(
      "requested_lifetime is too short: the upstream of this credential cannot shorten a token's life",
      'requested_lifetime',
    )
  // Not what was asked: tokens asked for with 3600 and 3601 seconds are the same token, and share a cache entry.
  return rule.lifetimeMax
}

/**
 * The boundary that the token gets: the rule's, or the caller's own where it provably reaches nothing beyond the
 * rule's. `undefined` when neither has one. A caller's that is not contained or not valid is `request_malformed`.
 */
export function narrowBoundary(asked: AccessBoundary | undefined, rule: Rule): AccessBoundary | undefined {
  const hasOwn = rule.boundary.length > 0
  if (asked === undefined) return hasOwn ? rule.boundary : undefined
  const [fault] = boundaryFaults(asked)
  if (fault !== undefined) throw requestMalformed(describeFault(fault.path, fault.text), 'boundary')
  if (hasOwn && !isContained(asked, rule.boundary))
    throw requestMalformed(
      'the access boundary is not contained in the one this caller has, or cannot be compared with it',
      'boundary',
    )
  return asked
}

function describeFault(path: readonly (string | number)[], text: string): string {
  return `accessBoundaryRules${path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}: ${text}`
}
