import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type { Grant } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import { type RuleUse, dayOf, type RuleUses } from '../records/rule-uses.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import { failureOf } from '../domain/audit-record.ts'
import { isBrokerError, BrokerError } from '../domain/broker-error.ts'
import type { Claims } from '../domain/caller.ts'
import type { Refusal, RefusedRequest, Explanation, ExplainQuestion } from '../domain/explanation.ts'
import type { RateLimit } from '../ports/rate-limit.ts'
import type { Refusals } from '../records/refusals.ts'
import type { Background } from '../ports/background.ts'
import type { Log } from '../ports/log.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** How many different uses of one day an instance remembers as recorded. */
const knownMax = 10_000

interface RecordUseDeps {
  readonly ruleUses: Pick<RuleUses, 'note'>
  readonly noting: UsageRecorder
  readonly clock: Pick<Clock, 'now'>
}

/** `undefined` when there is nothing to wait for. */
export type RecordUse = (
  grant: Grant,
  request: ExchangeRequest,
  token: MintedToken,
) => Promise<void> | undefined

/** The last recorded use of a token: with the token it identifies the use, except for a boundary that was asked for. */
interface LastUse {
  readonly day: EpochSeconds
  readonly rule: string
  readonly isByName: boolean
}

/**
 * Records which part of its rule a request used, once a day for each different use, so that a busy broker hardly ever
 * writes. Never rejects: a use that could not be recorded is recorded with the next request like it after the pause.
 */
export function createRecordUse({ ruleUses, noting, clock }: RecordUseDeps): RecordUse {
  const known = createRecentlyUsed<true>({ sizeMax: knownMax })
  // On the hot path the same token is served again and again: to look at it costs a tenth of naming its use in full.
  const lastUses = new WeakMap<MintedToken, LastUse>()

  return (grant, request, token) => {
    const now = clock.now()
    const lastUse: LastUse = { day: dayOf(now), rule: grant.rule, isByName: isByName(grant, request) }
    if (request.boundary === undefined && isSame(lastUses.get(token), lastUse)) return undefined
    if (noting.isPaused()) return undefined
    if (request.boundary === undefined) lastUses.set(token, lastUse)
    const use = useOf(grant, request)
    const name = JSON.stringify([lastUse.day, use])
    if (known.get(name) === true) return undefined
    known.set(name, true)
    const write = async () => {
      try {
        await ruleUses.note(use, now)
      } catch (error) {
        known.delete(name)
        lastUses.delete(token)
        throw error
      }
    }
    return noting.start(write, { message: 'the use of a rule was not noted', fields: { rule: use.rule } })
  }
}

function isByName({ scopes }: Grant, { scopes: asked }: ExchangeRequest): boolean {
  return asked.length > 0 && asked.every((scope) => scopes.includes(scope))
}

function isSame(one: LastUse | undefined, other: LastUse): boolean {
  return one?.day === other.day && one.rule === other.rule && one.isByName === other.isByName
}

function useOf(grant: Grant, request: ExchangeRequest): RuleUse {
  const { rule, credential, tokenType, scopes, subject, audience } = grant
  return {
    rule,
    credential: credential.name,
    tokenType,
    scopes: isByName(grant, request) ? scopes : undefined,
    ...omitUndefined({ subject, audience }),
    resources: (request.boundary ?? []).map(({ availableResource }) => availableResource),
  }
}

/** `undefined` when there is nothing to wait for. */
type RecordRefusal = (refused: RefusedRequest) => Promise<void> | undefined

interface RecordRefusalDeps {
  readonly refusals: Pick<Refusals, 'keep'>
  /** The names of the claims that the policy in force looks at; no others are kept. */
  readonly claimsLookedAt: () => Promise<ReadonlySet<string>>
  /** A caller's own words without the secrets that may be in the wrong parameter. */
  readonly redact: (text: string) => string
  /** Callers that are refused over and over do not fill the store. */
  readonly limit: RateLimit
  readonly noting: UsageRecorder
  readonly clock: Pick<Clock, 'now'>
}

/**
 * Keeps a known caller's refusal or failure for some days, for `explain`; never rejects, and holds up no answer where it
 * need not.
 */
export function createRecordRefusal(deps: RecordRefusalDeps): RecordRefusal {
  const { noting } = deps
  return (refused) => {
    if (noting.isPaused()) return undefined
    const { error } = refused
    const { error: code = 'bug', reason = 'a bug: the log line with this request id says where' } =
      failureOf(error)
    const facts: Facts = {
      ...refused,
      code,
      reason,
      condition: isBrokerError(error) ? error.condition : undefined,
    }
    return noting.start(() => keep(deps, facts), {
      message: 'a refusal was not kept for explain',
      fields: { requestId: facts.requestId },
    })
  }
}

interface Facts extends Omit<RefusedRequest, 'error'> {
  readonly code: Refusal['error']
  readonly reason: string
  readonly condition: string | undefined
}

async function keep(deps: RecordRefusalDeps, facts: Facts) {
  const { requestId, caller, request, code, reason, condition, action } = facts
  const { admitted } = await deps.limit('refusals')
  if (!admitted) return
  const { redact } = deps
  const { resource, subject, lifetime, boundary } = request
  await deps.refusals.keep({
    requestId,
    at: deps.clock.now(),
    error: code,
    reason: redact(reason),
    ...omitUndefined({ condition, action }),
    question: {
      issuer: caller.issuer,
      claims: { ...claimsIn(caller.claims, await deps.claimsLookedAt()), sub: caller.subject },
      target: redact(request.target),
      scopes: request.scopes.map(redact),
      tokenType: request.tokenType,
      ...(resource !== undefined && { resource: redact(resource) }),
      ...(subject !== undefined && { subject: redact(subject) }),
      ...omitUndefined({ lifetime, boundary }),
    },
  })
}

function claimsIn(claims: Claims, names: ReadonlySet<string>): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => names.has(name)))
}

const pauseMs = 30_000

interface UsageRecorderDeps {
  readonly background: Background
  readonly clock: Pick<Clock, 'steadyMs'>
  readonly log: Log
}

/** What is logged with the reason when a write fails. */
interface RecorderFailure {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Writes of requests that may fail without failing the request. */
interface UsageRecorder {
  isPaused(): boolean
  /** Never rejects; `undefined` when there is nothing to wait for. */
  start(write: () => Promise<void>, complaint: RecorderFailure): Promise<void> | undefined
}

/**
 * A store that is down delays one request in half a minute at most: after a failure all writes pause for 30 s, and then
 * one at a time is tried until one succeeds.
 */
export function createUsageRecorder({ background, clock, log }: UsageRecorderDeps): UsageRecorder {
  /** By the steady clock; `undefined` while writes succeed. */
  let notBeforeMs: number | undefined
  const pause = () => {
    notBeforeMs = clock.steadyMs() + pauseMs
  }

  return {
    isPaused: () => notBeforeMs !== undefined && clock.steadyMs() < notBeforeMs,
    start: (write, { message, fields }) => {
      if (notBeforeMs !== undefined) pause()
      const work = async () => {
        try {
          await write()
          notBeforeMs = undefined
        } catch (error) {
          pause()
          if (!isBrokerError(error)) throw error
          log('warn', message, { ...fields, reason: error.reason })
        }
      }
      if (!background.runsAfterAnswer) return work()
      background.run(work)
      return undefined
    },
  }
}

/** What is to be explained: a question, or a request that was refused some days ago at most. */
export type Explainable = { readonly question: ExplainQuestion } | { readonly requestId: string }

/** What would be decided now, and of a refusal what was decided then. */
export interface ExplainedRequest {
  readonly explanation: Explanation
  readonly refused?: Refusal
}

interface ExplainRequestDeps {
  readonly explain: (question: ExplainQuestion) => Promise<Explanation>
  readonly refusals: Pick<Refusals, 'find'>
}

/** Throws `not_found` for a request id of which nothing is known, and what `explain` throws. */
export function createExplainRequest({
  explain,
  refusals,
}: ExplainRequestDeps): (asked: Explainable) => Promise<ExplainedRequest> {
  /** A request that asked for no token is not decided again. */
  const explainedNow = async ({ action, question, error, reason }: Refusal): Promise<Explanation> => {
    if (action === undefined) return explain(question)
    const { issuer, claims } = question
    return {
      outcome: 'refused',
      ...(error !== 'bug' && { error }),
      reason: `${action}: ${reason}`,
      caller: { issuer, subject: typeof claims['sub'] === 'string' ? claims['sub'] : '' },
      rules: [],
      hints: [],
    }
  }

  return async (asked) => {
    if ('question' in asked) return { explanation: await explain(asked.question) }
    const refused = await refusals.find(asked.requestId)
    if (refused === undefined)
      throw new BrokerError('not_found', {
        reason: `nothing is known of the request ${asked.requestId}`,
        publicDetail:
          'nothing is kept under this request id: it is older than a week, was refused before its caller was known, was one of too many in its minute, or got its token',
      })
    return { explanation: await explainedNow(refused), refused }
  }
}
