import { BrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import type { AdminRole } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import type { CompiledPolicy } from './compile-policy.ts'

// Each role may do what the one before it may.
const rank: Readonly<Record<AdminRole, number>> = { viewer: 1, operator: 2, admin: 3 }

export interface RolesDeps {
  readonly policy: () => Promise<CompiledPolicy>
  /** The client of sign-ins by device code; absent where there are none. */
  readonly deviceClientId?: string | undefined
}

/**
 * Every role that policy gives this caller, the highest first. Whoever signed in by device code may have been talked into
 * it by somebody else, so they only look on, unless the rule itself asks for that client in the claim `aud` (T22).
 */
export function createRolesOf(deps: RolesDeps): (caller: Caller) => Promise<readonly AdminRole[]> {
  return async (caller) => {
    const policy = await deps.policy()
    const { deviceClientId: client } = deps
    const isByDevice = client !== undefined && isFor(caller, client)
    const roles = isByDevice
      ? policy.findRoles(caller, (claims) => claims['aud'] === client, lookingOn)
      : policy.findRoles(caller)
    return [...new Set(roles)].toSorted((one, other) => rank[other] - rank[one])
  }
}

const lookingOn: ReadonlySet<AdminRole> = new Set<AdminRole>(['viewer'])

function isFor({ claims: { aud, azp } }: Caller, client: string): boolean {
  return azp === client || aud === client || (Array.isArray(aud) && aud.includes(client))
}

/** The highest role that policy gives this caller, if it is at least `needed`; otherwise throws `admin_forbidden`. */
export function createAuthorizeAdmin(
  deps: RolesDeps,
): (caller: Caller, needed: AdminRole) => Promise<AdminRole> {
  const rolesOf = createRolesOf(deps)
  return async (caller, needed) => {
    const [highest] = await rolesOf(caller)
    if (highest !== undefined && rank[highest] >= rank[needed]) return highest
    const held = highest === undefined ? 'has no role' : `is only ${highest}`
    throw new BrokerError('admin_forbidden', {
      reason: `${quote(caller.subject)} of ${quote(caller.issuer)} ${held}, and this needs ${needed}`,
    })
  }
}
