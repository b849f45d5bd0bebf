import { failureOf, type AdminFacts, type AuditAction } from './domain/audit-record.ts'
import { BrokerError, isBrokerError } from './domain/broker-error.ts'
import { notAsked, type RefusedRequest } from './domain/explanation.ts'
import type { Caller } from './domain/caller.ts'
import type { Proof } from './domain/exchange-request.ts'
import type { AdminRole, NeededRole } from './domain/policy.ts'
import type { Secret } from './domain/secret.ts'
import type { AuditTrail } from './ports/log.ts'
import type { Clock } from './ports/clock.ts'

export interface AdministerDeps {
  /** Before anything of the request is parsed. */
  readonly countRequest: () => Promise<void>
  readonly authenticate: (proof: Proof) => Promise<Caller>
  /** Throws `admin_forbidden` unless policy gives the caller that role or one that may do the same. */
  readonly authorizeAdmin: (caller: Caller, needed: NeededRole) => Promise<AdminRole>
  /** What a refusal or failure leaves behind for whoever asks why. */
  readonly noteRefusal?: (refused: RefusedRequest) => Promise<void> | undefined
  readonly audit: AuditTrail
  readonly clock: Clock
}

/** One act of administration: who asks, what it takes, and what is then done. */
export interface AdminContext<T> {
  readonly requestId: string
  readonly bearer: Secret | undefined
  /** Somebody who signed in already, in place of a bearer token. */
  readonly person?: Caller
  readonly action: AuditAction
  readonly needed: NeededRole
  /** What it is about, as far as the request says: also of one that is refused. */
  readonly about?: AdminFacts
  /** The same of its body, which is looked at once the caller is known. */
  readonly aboutBody?: () => Promise<AdminFacts>
  /** `note` puts into the record what shows itself only on the way. */
  readonly perform: (caller: Caller, note: (facts: AdminFacts) => void) => Promise<T>
}

export type Administer = <T>(context: AdminContext<T>) => Promise<T>

/**
 * The pipeline of the admin API: authenticate, authorize, perform. Nothing is performed for anybody else than a
 * caller of the needed role, and exactly one audit record is written before it resolves or rejects, whatever happens
 * (P27). Rejects with `admin_unauthenticated`, `admin_forbidden`, what `perform` throws, and `audit_unavailable`
 * when the record could not be written; then what was performed stays performed, and nobody is told so.
 */
export function createAdminister(deps: AdministerDeps): Administer {
  return async (context) => {
    const startedMs = deps.clock.steadyMs()
    let caller: Caller | undefined
    let about = context.about
    const note = (facts: AdminFacts) => {
      about = { ...about, ...facts }
    }
    const write = (ending: Ending) =>
      deps.audit({
        requestId: context.requestId,
        at: deps.clock.now(),
        action: context.action,
        ...about,
        ...(caller !== undefined && { issuer: caller.issuer, caller: caller.subject }),
        ...ending,
        durationMs: deps.clock.steadyMs() - startedMs,
      })

    let result
    try {
      await deps.countRequest()
      caller = context.person ?? (await identify(deps, context.bearer))
      if (context.aboutBody !== undefined) note(await context.aboutBody())
      await deps.authorizeAdmin(caller, context.needed)
      result = await context.perform(caller, note)
    } catch (error) {
      await write(failureOf(error))
      caller ??= isBrokerError(error) ? error.caller : undefined
      const { requestId, action } = context
      if (caller !== undefined)
        await deps.noteRefusal?.({ requestId, caller, action, request: notAsked(about?.credential), error })
      throw error
    }
    await write({ outcome: 'done' })
    return result
  }
}

type Ending = ReturnType<typeof failureOf>

async function identify({ authenticate }: AdministerDeps, bearer: Secret | undefined): Promise<Caller> {
  if (bearer === undefined)
    throw new BrokerError('admin_unauthenticated', { reason: 'no bearer token in the Authorization header' })
  return authenticate({ form: 'admin_bearer', assertion: bearer })
}
