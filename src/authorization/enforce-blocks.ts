import { settled, type MaybePromise } from '../domain/promises.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { BlocksInForce } from '../domain/blocks.ts'
import type { Caller } from '../domain/caller.ts'
import { quote } from '../domain/text.ts'
import { seconds } from '../domain/time.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'
import { unavailable } from './authorize.ts'

/** Throws `store_unavailable` when it cannot say. */
export type CurrentBlocks = () => MaybePromise<BlocksInForce>

/** Long enough to spare a service that was stopped on purpose. */
const retryAfterStop = seconds(30)

/**
 * Nobody gets a grant while the service is stopped (`service_stopped`), nor a blocked caller ever: its answer is that
 * of a credential it may not use (P12).
 */
export function enforceBlocks<Request, Grant>(
  blocks: CurrentBlocks,
  authorize: (caller: Caller, request: Request) => Promise<Grant>,
): (caller: Caller, request: Request) => Promise<Grant> {
  return async (caller, request) => {
    // Neither waits for the other, and who is blocked is refused as such when all that others wait for is done.
    const authorizing = authorize(caller, request)
    const authorized = settled(authorizing)
    const inForce = await blocks()
    await authorized
    refuseBlocked(inForce, caller)
    return authorizing
  }
}

function refuseBlocked({ stopped, blocked }: BlocksInForce, caller: Caller): void {
  if (stopped !== undefined)
    throw new BrokerError('service_stopped', {
      reason: `${quote(stopped.by)} stopped the service`,
      condition: 'service.stopped',
      retryAfter: retryAfterStop,
    })
  const block = blocked(caller)
  if (block !== undefined)
    throw new BrokerError('target_unavailable', {
      reason: describe(caller, block.by),
      condition: 'caller.blocked',
    })
}

/** A blocked caller has no admin API either, so that nobody unblocks themselves; it works while the service is stopped. */
export function enforceAdminBlocks<Role, Given>(
  blocks: CurrentBlocks,
  authorizeAdmin: (caller: Caller, needed: Role) => Promise<Given>,
): (caller: Caller, needed: Role) => Promise<Given> {
  return async (caller, needed) => {
    const given = await authorizeAdmin(caller, needed)
    const blocked = (await blocks()).blocked(caller)
    if (blocked !== undefined)
      throw new BrokerError('admin_forbidden', { reason: describe(caller, blocked.by) })
    return given
  }
}

function describe({ issuer, subject }: Caller, by: string): string {
  return `${quote(subject)} of ${quote(issuer)} is blocked, by ${quote(by)}`
}

/** Throws `target_unavailable` unless some rule gives this caller the credential and the caller is not blocked. */
export function createMayUse(deps: {
  readonly policy: () => Promise<CompiledPolicy>
  readonly blocks: CurrentBlocks
}): (caller: Caller, credential: string) => Promise<void> {
  return async (caller, credential) => {
    const { subject, issuer } = caller
    if ((await deps.blocks()).blocked(caller) !== undefined)
      throw unavailable(undefined, `${quote(subject)} of ${quote(issuer)} is blocked`)
    if ((await deps.policy()).findRule(caller, credential) === undefined)
      throw unavailable(
        undefined,
        `no rule gives ${quote(credential)} to ${quote(subject)} of ${quote(issuer)}`,
      )
  }
}

/** Throws `target_unavailable` for a caller whom no rule takes: there is nothing that a ticket would be good for (T6). */
export function refuseWithoutRule(policy: CompiledPolicy, caller: Caller): void {
  for (const _ of policy.credentialsFor(caller)) return
  throw unavailable('rules', `no rule takes ${quote(caller.subject)} of ${quote(caller.issuer)}`)
}
