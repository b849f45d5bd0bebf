import { BrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import {
  adminRoles,
  meetsNeed,
  type AdminRole,
  type CallerPattern,
  type NeededRole,
  type Policy,
  type TrustedIssuer,
} from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import { type CompiledPolicy, compilePolicy } from '../policy/compile-policy.ts'
import { algorithmsFitting } from '../domain/jwk.ts'

export interface RolesDeps {
  readonly policy: () => Promise<CompiledPolicy>
  /** The client of sign-ins by device code; absent where there are none. */
  readonly deviceClientId?: string | undefined
}

/**
 * Every role that policy gives this caller, the highest first. Whoever signed in by device code may have been talked into
 * it by somebody else, so whatever they are they only look on, unless the rule itself asks for that client in the claim `aud` (T22).
 */
export function createRolesOf(deps: RolesDeps): (caller: Caller) => Promise<readonly AdminRole[]> {
  return async (caller) => {
    const policy = await deps.policy()
    const { deviceClientId: client } = deps
    const isByDevice = client !== undefined && isFor(caller, client)
    const cap = (role: AdminRole, asked: CallerPattern['claims']): AdminRole =>
      !isByDevice || lookingOn.has(role) || asked['aud'] === client ? role : 'viewer'
    const roles = policy.findRoles(caller, cap)
    return [...new Set(roles)].toSorted((one, other) => adminRoles.indexOf(other) - adminRoles.indexOf(one))
  }
}

const lookingOn: ReadonlySet<AdminRole> = new Set<AdminRole>(['viewer', 'auditor'])

function isFor({ claims: { aud, azp } }: Caller, client: string): boolean {
  return azp === client || aud === client || (Array.isArray(aud) && aud.includes(client))
}

/** The highest role that policy gives this caller, if one of them may do what `needed` may; else throws `admin_forbidden`. */
export function createAuthorizeAdmin(
  deps: RolesDeps,
): (caller: Caller, needed: NeededRole) => Promise<AdminRole> {
  const rolesOf = createRolesOf(deps)
  return async (caller, needed) => {
    const roles = await rolesOf(caller)
    const [highest] = roles
    if (highest !== undefined && meetsNeed(roles, needed)) return highest
    const held = highest === undefined ? 'has no role' : `is only ${roles.join(' and ')}`
    throw new BrokerError('admin_forbidden', {
      reason: `${quote(caller.subject)} of ${quote(caller.issuer)} ${held}, and this needs ${needed}`,
    })
  }
}

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

export interface LockOutQuestion {
  readonly proposed: Policy
  /** As the policy in force authenticates them. */
  readonly caller: Caller
  readonly inForce: CompiledPolicy | undefined
  /** What an issuer's entry has against the claims of an assertion, apart from its signature. */
  readonly claimsFault: (claims: Caller['claims'], issuer: TrustedIssuer) => string | undefined
}

/**
 * Why this administrator could not administer any more under the policy that they are about to apply; `undefined` when
 * they could, as far as can be told without asking anybody: keys that are published elsewhere are believed.
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
