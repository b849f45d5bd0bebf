import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { formatScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { CompiledRule } from './compile-policy.ts'
import { scopesImpliedBy } from './implied-scopes.ts'
import type { RuleScopes } from './rule-scopes.ts'

/**
 * Credential ∩ rule ∩ request, never empty (P13). An empty request asks for all the rule allows. A scope that a rule's
 * scope implies is given as it was asked for. What was asked for and cannot be had is refused with `scope_refused`, or
 * with `drop` in the rule left out; of a scope too broad there remains what the rule allows of that which it implies.
 */
export function narrowScopes(asked: ScopeSet, rule: CompiledRule, credential: CredentialSummary): ScopeSet {
  const { name, excessScopes } = rule.rule
  const allowed = rule.scopesAt(credential.upstream)
  const beyondRule = asked.filter((scope) => !allowed.allows(scope))
  if (beyondRule.length > 0 && excessScopes === 'refuse')
    throw refused(`beyond rule "${name}": ${shorten(beyondRule)}`)

  const within = asked.length === 0 ? allowed.scopes : asked.filter(allowed.allows)
  const remains = beyondRule.length === 0 ? [] : remainsOf(beyondRule, allowed)
  const allowsNone = () => `rule "${name}" allows none of: ${shorten(asked)}`
  const consented = credential.consentedScopes
  if (consented === undefined) return someOf([...within, ...broadest(remains)], allowsNone)

  // docs/google.md §1.1: the upstream compares consented scopes as text; a wider one does not imply a narrower one.
  const notConsented = within.filter((scope) => !consented.includes(scope))
  const explanation = () =>
    `not consented for "${credential.name}": ${shorten(notConsented)}; consented: ${shorten(consented)}`
  if (notConsented.length > 0 && asked.length > 0 && excessScopes === 'refuse') throw refused(explanation())
  const has = (scope: string): boolean => consented.includes(scope)
  return someOf(
    [...within.filter(has), ...broadest(remains.filter(has))],
    within.length === 0 ? allowsNone : explanation,
  )
}

function remainsOf(beyondRule: ScopeSet, { allowedOf }: RuleScopes): ScopeSet {
  return scopeSet(beyondRule.flatMap(allowedOf))
}

/** Without those that another of them implies. */
function broadest(scopes: ScopeSet): ScopeSet {
  return scopes.filter((scope) => !scopes.some((other) => scopesImpliedBy(other).has(scope)))
}

/** The reason is told by a function: on the hot path nobody reads it. */
function someOf(scopes: ScopeSet, otherwise: () => string): ScopeSet {
  if (scopes.length === 0) throw refused(otherwise())
  return scopeSet(scopes)
}

function refused(reason: string): BrokerError {
  return new BrokerError('scope_refused', { reason, condition: 'scopes' })
}

function shorten(scopes: ScopeSet): string {
  const text = formatScope(scopes.slice(0, 20))
  return scopes.length > 20 || text.length > 1000 ? `${text.slice(0, 1000)} …` : text
}
