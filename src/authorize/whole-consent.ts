import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { scopesBeyond, type ScopeSet } from '../domain/scopes.ts'
import type { Upstream } from '../domain/upstream.ts'

/**
 * An upstream that takes no scope with a refresh gives all that was consented: whoever is granted less gets nothing,
 * `scope_refused`, for a narrower token cannot be had.
 */
export function refuseLessThanConsented(
  scopes: ScopeSet,
  { name, kind, consentedScopes = [] }: CredentialSummary,
  upstream: Upstream | undefined,
): void {
  if (kind !== 'refresh_token' || upstream?.scopeInRefresh !== 'omit') return
  const missing = scopesBeyond(consentedScopes, scopes)
  if (missing.length === 0) return
  throw new BrokerError('scope_refused', {
    reason: `"${name}": upstream ${upstream.name} cannot narrow a refresh, so rule and request must have all scopes consented; missing: ${missing.slice(0, 20).join(' ')}`,
    condition: 'scopes',
  })
}
