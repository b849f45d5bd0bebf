import type { Caller } from '../domain/caller.ts'
import type { FailedCondition } from '../domain/explanation.ts'
import type { CallerPattern, TrustedIssuer } from '../domain/policy.ts'
import { createFindClaim } from './find-claim.ts'
import { createMatchCaller, createMatchClaim, createMatchText } from './match-caller.ts'

/**
 * Why none of a rule's patterns takes a caller: of each the first part that does not match, in the order of the
 * policy. Empty when one takes him, and then `findRule` finds the rule too.
 */
export function explainCallers(
  patterns: readonly CallerPattern[],
  caller: Caller,
  issuers: readonly TrustedIssuer[],
): readonly FailedCondition[] {
  const failed: FailedCondition[] = []
  for (const [index, pattern] of patterns.entries()) {
    const issuer = issuers.find(({ name }) => name === pattern.issuer)?.issuer ?? ''
    if (createMatchCaller(pattern, issuer)(caller)) return []
    failed.push(explainPattern(pattern, caller, { issuer, at: `callers[${index}]` }))
  }
  return failed
}

interface PatternPlace {
  /** The exact `iss` that the pattern's issuer name stands for. */
  readonly issuer: string
  readonly at: string
}

function explainPattern(
  pattern: CallerPattern,
  caller: Caller,
  { issuer, at }: PatternPlace,
): FailedCondition {
  if (caller.issuer !== issuer)
    return { condition: `${at}.issuer`, wanted: pattern.issuer, found: caller.issuerName }
  if (!createMatchText(pattern.subject)(caller.subject))
    return { condition: `${at}.subject`, wanted: pattern.subject, found: caller.subject }
  const [name = '', wanted] =
    Object.entries(pattern.claims).find(([claim, value]) => !createMatchClaim(claim, value)(caller.claims)) ??
    []
  const found = createFindClaim(name)(caller.claims)
  return {
    condition: `${at}.claims[${JSON.stringify(name)}]`,
    wanted: JSON.stringify(wanted),
    found: found === undefined ? 'no such claim' : JSON.stringify(found),
  }
}
