import { isBrokerError, type BrokerErrorCode } from '../domain/broker-error.ts'
import type { Claims } from '../domain/caller.ts'
import type { RefusalCode, RefusedRequest } from '../domain/explanation.ts'
import type { Clock } from '../ports/clock.ts'
import type { RateLimit } from '../ports/rate-limit.ts'
import type { Refusals } from '../records/refusals.ts'
import type { Noting } from './noting.ts'

/** `undefined` when there is nothing to wait for. */
export type NoteRefusal = (refused: RefusedRequest) => Promise<void> | undefined

export interface NoteRefusalDeps {
  readonly refusals: Pick<Refusals, 'keep'>
  /** The names of the claims that the policy in force looks at; no others are kept. */
  readonly claimsLookedAt: () => Promise<ReadonlySet<string>>
  /** A caller's own words without the secrets he may have put into the wrong parameter. */
  readonly redact: (text: string) => string
  /** Callers that are refused over and over do not fill the store. */
  readonly limit: RateLimit
  readonly noting: Noting
  readonly clock: Pick<Clock, 'now'>
}

/** Keeps a refusal by policy for some days, for `explain`; never rejects, and holds up no answer where it need not. */
export function createNoteRefusal(deps: NoteRefusalDeps): NoteRefusal {
  const { noting } = deps
  return (refused) => {
    const { error } = refused
    if (!isBrokerError(error) || !isByPolicy(error.code) || noting.isPaused()) return undefined
    const facts: Facts = { ...refused, code: error.code, reason: error.reason, condition: error.condition }
    return noting.start(() => keep(deps, facts), {
      message: 'a refusal was not kept for explain',
      fields: { requestId: facts.requestId },
    })
  }
}

interface Facts extends Omit<RefusedRequest, 'error'> {
  readonly code: RefusalCode
  readonly reason: string
  readonly condition: string | undefined
}

async function keep(deps: NoteRefusalDeps, { requestId, caller, request, code, reason, condition }: Facts) {
  const { admitted } = await deps.limit('refusals')
  if (!admitted) return
  const { redact } = deps
  const { resource, subject, lifetime, boundary } = request
  await deps.refusals.keep({
    requestId,
    at: deps.clock.now(),
    error: code,
    reason: redact(reason),
    ...(condition === undefined ? {} : { condition }),
    question: {
      issuer: caller.issuer,
      claims: { ...claimsIn(caller.claims, await deps.claimsLookedAt()), sub: caller.subject },
      target: redact(request.target),
      scopes: request.scopes.map(redact),
      tokenType: request.tokenType,
      ...(resource === undefined ? {} : { resource: redact(resource) }),
      ...(subject === undefined ? {} : { subject: redact(subject) }),
      ...(lifetime === undefined ? {} : { lifetime }),
      ...(boundary === undefined ? {} : { boundary }),
    },
  })
}

function claimsIn(claims: Claims, names: ReadonlySet<string>): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => names.has(name)))
}

function isByPolicy(code: BrokerErrorCode): code is RefusalCode {
  return code === 'target_unavailable' || code === 'scope_refused' || code === 'request_malformed'
}
