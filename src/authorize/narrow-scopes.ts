import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { formatScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { CompiledRule } from './compile-policy.ts'

/**
 * Credential ∩ rule ∩ request, never empty (P13). An empty request asks for all the rule allows. What was asked for
 * and cannot be had is left out where the rule says `drop`. Otherwise, and when nothing is left, `scope_refused`.
 */
export function narrowScopes(asked: ScopeSet, rule: CompiledRule, credential: CredentialSummary): ScopeSet {
  const { name, excessScopes } = rule.rule
  const beyondRule = asked.filter((scope) => !rule.scopes.has(scope))
  if (beyondRule.length > 0 && excessScopes === 'refuse')
    throw refused(`beyond rule "${name}": ${shorten(beyondRule)}`)

  const wanted = asked.length === 0 ? rule.rule.scopes : asked.filter((scope) => rule.scopes.has(scope))
  const consented = credential.consentedScopes
  if (consented === undefined) return someOf(wanted, `rule "${name}" allows none of: ${shorten(asked)}`)

  // docs/google.md §1.1: the upstream compares consented scopes as text; a wider one does not imply a narrower one.
  const notConsented = wanted.filter((scope) => !consented.includes(scope))
  const explanation = `not consented for "${credential.name}": ${shorten(notConsented)}; consented: ${shorten(consented)}`
  if (notConsented.length > 0 && asked.length > 0 && excessScopes === 'refuse') throw refused(explanation)
  return someOf(
    wanted.filter((scope) => consented.includes(scope)),
    wanted.length === 0 ? `rule "${name}" allows none of: ${shorten(asked)}` : explanation,
  )
}

function someOf(scopes: ScopeSet, otherwise: string): ScopeSet {
  if (scopes.length === 0) throw refused(otherwise)
  return scopeSet(scopes)
}

function refused(reason: string): BrokerError {
  return new BrokerError('scope_refused', { reason, condition: 'scopes' })
}

function shorten(scopes: ScopeSet): string {
  const text = formatScope(scopes.slice(0, 20))
  return scopes.length > 20 || text.length > 1000 ? `${text.slice(0, 1000)} …` : text
}
