import type { Caller } from '../domain/caller.ts'
import type { IssuerKeys, Policy } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import { compilePolicy, type CompiledPolicy } from './compile-policy.ts'

/**
 * Why this administrator could not administer any more under a policy that he is about to apply; `undefined` when he
 * could, as far as can be told without asking anybody: keys that are published elsewhere are believed.
 */
export function lockOutFault(
  proposed: Policy,
  caller: Caller,
  inForce: CompiledPolicy | undefined,
): string | undefined {
  const compiled = compilePolicy(proposed)
  const you = `${quote(caller.subject)} of ${quote(caller.issuer)}`
  const issuer = compiled.findIssuer(caller.issuer)
  if (issuer === undefined) return `it trusts your issuer ${quote(caller.issuer)} no more`
  if (!compiled.findRoles(caller).includes('admin')) return `it makes you, ${you}, an admin no more`
  const before = inForce?.findIssuer(caller.issuer)
  if (before !== undefined && !shareAKey(before.keys, issuer.keys))
    return `it knows none of the keys of your issuer ${quote(caller.issuer)} that are known now`
  return undefined
}

function shareAKey(before: IssuerKeys, after: IssuerKeys): boolean {
  if (before.from !== 'inline' || after.from !== 'inline') return true
  const known = new Set(before.keys.map((key) => JSON.stringify(key)))
  return after.keys.some((key) => known.has(JSON.stringify(key)))
}
