import { BrokerError } from '../domain/broker-error.ts'
import type { BlocksInForce } from '../domain/blocks.ts'
import type { Caller } from '../domain/caller.ts'
import { quote } from '../domain/quote.ts'
import { seconds } from '../domain/time.ts'

/** Throws `store_unavailable` when it cannot say. */
export type CurrentBlocks = () => BlocksInForce | Promise<BlocksInForce>

/** Long enough to spare a service that was stopped on purpose. */
const retryAfterStop = seconds(30)

/**
 * Nobody gets a grant while the service is stopped (`service_stopped`), nor a blocked caller ever: his answer is that
 * of a credential he may not use (P12).
 */
export function heedingBlocks<Request, Grant>(
  blocks: CurrentBlocks,
  authorize: (caller: Caller, request: Request) => Promise<Grant>,
): (caller: Caller, request: Request) => Promise<Grant> {
  return async (caller, request) => {
    const now = blocks()
    // Nearly always known; where it has to be read, what follows need not wait for it.
    const [current, grant] =
      now instanceof Promise ? await Promise.all([now, authorize(caller, request)]) : [now]
    if (current.stopped !== undefined)
      throw new BrokerError('service_stopped', {
        reason: `${quote(current.stopped.by)} stopped the service`,
        condition: 'service.stopped',
        retryAfter: retryAfterStop,
      })
    const blocked = current.blocked(caller)
    if (blocked !== undefined)
      throw new BrokerError('target_unavailable', {
        reason: describe(caller, blocked.by),
        condition: 'caller.blocked',
      })
    return grant ?? authorize(caller, request)
  }
}

/** A blocked caller administers nothing either, lest he unblock himself; a stopped service is administered on. */
export function heedingBlockedAdmins<Role, Given>(
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
