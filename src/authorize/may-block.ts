import type { Caller } from '../domain/caller.ts'
import type { AdminRole } from '../domain/policy.ts'
import { compilePolicy, type CompiledPolicy } from './compile-policy.ts'

export interface MayBlockDeps {
  readonly policy: () => Promise<CompiledPolicy>
  /** Throws `admin_forbidden` unless policy gives the caller that role. */
  readonly authorizeAdmin: (caller: Caller, needed: AdminRole) => Promise<unknown>
}

/**
 * Throws `admin_forbidden` where anybody else than an admin would block whoever may be an admin, by issuer and subject
 * alone: operators could leave nobody who may let callers in again.
 */
export function createMayBlock({ policy, authorizeAdmin }: MayBlockDeps) {
  return async (named: Pick<Caller, 'issuer' | 'subject'>, by: Caller): Promise<void> => {
    const whateverTheClaims = compilePolicy(withoutClaims(await policy()))
    const roles = whateverTheClaims.findRoles({ ...named, issuerName: '', claims: {} })
    if (roles.includes('admin')) await authorizeAdmin(by, 'admin')
  }
}

function withoutClaims({ policy }: CompiledPolicy): CompiledPolicy['policy'] {
  const admins = policy.admins.map(({ role, callers }) => ({
    role,
    callers: callers.map((pattern) => ({ ...pattern, claims: {} })),
  }))
  return { ...policy, rules: [], admins }
}
