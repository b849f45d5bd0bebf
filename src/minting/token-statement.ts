import { isMembers, type Members } from '../domain/json.ts'
import { parseScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import { epochSeconds, type EpochSeconds } from '../domain/time.ts'

/**
 * The claims of a JWT that one of the published keys signed, or `undefined` for any other text. Asks the address of the
 * keys, as often as P22 allows, and nothing else. Throws `issuer_unavailable` while it does not give them.
 */
export type VerifyAccessToken = (
  token: Secret,
  from: { readonly issuer: string; readonly keysUrl: string },
) => Promise<VerifiedToken | undefined>

export interface VerifiedToken {
  readonly claims: Members
  /** Its header says that it is an access token (RFC 9068). */
  readonly isMarked: boolean
}

/** What an upstream says of an access token, in the token itself or by introspection. */
export interface Statement {
  readonly scopes: ScopeSet
  readonly expiresAt?: EpochSeconds
  /** What it lets its bearer do besides its scopes, each as one text. */
  readonly roles: ReadonlySet<string>
}

/** Clocks may differ by this much, as for JWTs of callers (P5). */
const skewSeconds = 60

/**
 * Reads the members that RFC 9068 §2.2 and RFC 7662 §2.2 share; `undefined` where they do not say with which scope and
 * for which client the token is, or are of another client or another life than the reply: then they count for nothing.
 */
export function readStatement(
  members: Members,
  {
    clientId,
    now,
    until,
  }: { readonly clientId: string; readonly now: EpochSeconds; readonly until: EpochSeconds },
): Statement | undefined {
  const { client_id: client, azp, exp } = members
  const named = [client, azp].filter((name) => name !== undefined)
  if (named.length === 0 || named.some((name) => name !== clientId)) return undefined
  const scopes = scopesOf(members)
  if (scopes === undefined) return undefined
  if (exp !== undefined) {
    if (typeof exp !== 'number' || exp <= now || exp > until + skewSeconds) return undefined
  }
  return {
    scopes,
    ...(exp === undefined ? {} : { expiresAt: epochSeconds(Math.floor(exp)) }),
    roles: new Set(rolesOf(members)),
  }
}

function scopesOf({ scope, scp }: Members): ScopeSet | undefined {
  const said = scope ?? scp
  if (typeof said === 'string') return parseScope(said)
  const words = Array.isArray(said) ? said.filter((word) => typeof word === 'string') : []
  return words.length > 0 && Array.isArray(said) && words.length === said.length ? scopeSet(words) : undefined
}

const roleMembers = ['realm_access', 'resource_access', 'roles', 'permissions'] as const

function rolesOf(members: Members): readonly string[] {
  return roleMembers.flatMap((name) => leavesOf(members[name], name))
}

function leavesOf(value: unknown, place: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => leavesOf(item, place))
  if (isMembers(value))
    return Object.entries(value).flatMap(([name, member]) => leavesOf(member, `${place}.${name}`))
  return value === undefined || value === null ? [] : [`${place}: ${JSON.stringify(value)}`]
}
