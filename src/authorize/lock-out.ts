import type { Caller } from '../domain/caller.ts'
import type { Policy, TrustedIssuer } from '../domain/policy.ts'
import { algorithmsFitting } from '../domain/public-jwk.ts'
import { quote } from '../domain/quote.ts'
import { compilePolicy, type CompiledPolicy } from './compile-policy.ts'

export interface LockOutQuestion {
  readonly proposed: Policy
  /** As the policy in force lets him in. */
  readonly caller: Caller
  readonly inForce: CompiledPolicy | undefined
  /** What an issuer's entry has against the claims of an assertion, apart from its signature. */
  readonly claimsFault: (claims: Caller['claims'], issuer: TrustedIssuer) => string | undefined
}

/**
 * Why this administrator could not administer any more under a policy that he is about to apply; `undefined` when he
 * could, as far as can be told without asking anybody: keys that are published elsewhere are believed.
 */
export function lockOutFault({
  proposed,
  caller,
  inForce,
  claimsFault,
}: LockOutQuestion): string | undefined {
  const compiled = compilePolicy(proposed)
  const you = `${quote(caller.subject)} of ${quote(caller.issuer)}`
  const issuer = compiled.findIssuer(caller.issuer)
  if (issuer === undefined) return `it trusts your issuer ${quote(caller.issuer)} no more`
  if (!compiled.findRoles(caller).includes('admin')) return `it makes you, ${you}, an admin no more`
  const before = inForce?.findIssuer(caller.issuer)
  if (before !== undefined && !shareAKey(before, issuer))
    return `it takes none of the keys of your issuer ${quote(caller.issuer)} that are taken now`
  // It was accepted a moment ago, so whatever is wrong with it now is the change's doing.
  const fault = claimsFault(caller.claims, issuer)
  return fault === undefined ? undefined : `it refuses the JWT that you sent: ${fault}`
}

function shareAKey(before: TrustedIssuer, after: TrustedIssuer): boolean {
  const [known, taken] = [usableKeys(before), usableKeys(after)]
  return known === undefined || taken === undefined || taken.some((key) => known.includes(key))
}

/** As text; `undefined` where they are published elsewhere. */
function usableKeys({ keys, algorithms }: TrustedIssuer): readonly string[] | undefined {
  if (keys.from !== 'inline') return undefined
  const usable = keys.keys.filter((key) => algorithmsFitting(key).some((fit) => algorithms.includes(fit)))
  return usable.map((key) => JSON.stringify(key))
}
