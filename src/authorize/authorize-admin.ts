import { BrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import type { AdminRole } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import type { CompiledPolicy } from './compile-policy.ts'

// Each role may do what the one before it may.
const rank: Readonly<Record<AdminRole, number>> = { viewer: 1, operator: 2, admin: 3 }

/** The highest role that policy gives this caller, if it is at least `needed`; otherwise throws `admin_forbidden`. */
export function createAuthorizeAdmin(deps: {
  readonly policy: () => Promise<CompiledPolicy>
}): (caller: Caller, needed: AdminRole) => Promise<AdminRole> {
  return async (caller, needed) => {
    const policy = await deps.policy()
    const [highest] = policy.findRoles(caller).toSorted((one, other) => rank[other] - rank[one])
    if (highest !== undefined && rank[highest] >= rank[needed]) return highest
    const held = highest === undefined ? 'has no role' : `is only ${highest}`
    throw new BrokerError('admin_forbidden', {
      reason: `${quote(caller.subject)} of ${quote(caller.issuer)} ${held}, and this needs ${needed}`,
    })
  }
}
