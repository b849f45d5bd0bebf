import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'

/** Throws `scope_refused` for a grant without a scope: many an upstream then gives all it has. */
export function requireScopes({ scopes }: Pick<Grant, 'scopes'>): void {
  if (scopes.length === 0)
    throw new BrokerError('scope_refused', { reason: 'the grant holds no scope to ask for' })
}
