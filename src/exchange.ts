import { failureOf, type AuditRecord } from './domain/audit-record.ts'
import { isBrokerError } from './domain/broker-error.ts'
import type { Caller } from './domain/caller.ts'
import type { ExchangeRequest, Proof } from './domain/exchange-request.ts'
import type { RefusedRequest } from './domain/explanation.ts'
import type { Grant } from './domain/grant.ts'
import type { MintedToken, ResolvedToken } from './domain/token.ts'
import type { AuditTrail } from './ports/log.ts'
import type { Clock } from './ports/clock.ts'

/** The steps, in the order in which every request takes them. */
export interface ExchangeSteps {
  /** Before anything of the request is parsed: who comes too often costs no more than that. */
  countRequest(): Promise<void>
  authenticate(proof: Proof): Promise<Caller>
  /** What is asked of the broker itself, by its name as an audience, and not of a credential. */
  readonly tickets?: {
    readonly audience: string
    readonly issue: (caller: Caller, request: ExchangeRequest) => Promise<ResolvedToken>
  }
  authorize(caller: Caller, request: ExchangeRequest): Promise<Grant>
  /** `deadlineMs`: by the steady clock, until when it may wait for what passes. */
  resolve(grant: Grant, mint: () => Promise<MintedToken>, deadlineMs: number): Promise<ResolvedToken>
  mint(grant: Grant, deadlineMs: number): Promise<MintedToken>
  /** What it leaves behind for whoever keeps the policy small; `undefined` when there is nothing to wait for. */
  noteUse(grant: Grant, request: ExchangeRequest, token: MintedToken): Promise<void> | undefined
  /** Likewise, for whoever asks why. */
  noteRefusal(refused: RefusedRequest): Promise<void> | undefined
}

export interface ExchangeContext {
  readonly requestId: string
  /** Throws what is wrong with the request: a refusal like any other, and audited like any other. */
  readonly parse: () => ExchangeRequest
  /** Of the request's header, for whoever traces; from callers whose issuer is trusted with it. */
  readonly traceparent?: () => string | null
}

export interface ExchangeOutcome {
  /** Absent for a ticket. */
  readonly grant?: Grant | undefined
  readonly resolved: ResolvedToken
}

/**
 * One request's whole way to a token. Before it resolves or rejects, exactly one audit record of the decision is
 * written (P27); when that fails there is no token. Rejects with BrokerError for planned failures; the rest are bugs.
 */
export type Exchange = (context: ExchangeContext) => Promise<ExchangeOutcome>

/** All answers leave within 10 s (P20): what is left is for storing and writing what came of it. */
const waitMsMax = 7_500

export function createExchange(steps: ExchangeSteps, audit: AuditTrail, clock: Clock): Exchange {
  return async ({ requestId, parse }) => {
    const startedMs = clock.steadyMs()
    const deadlineMs = startedMs + waitMsMax
    const record: RecordDraft = {
      requestId,
      at: clock.now(),
      action: 'token.exchange',
      outcome: 'failed',
      durationMs: 0,
    }
    const write = () => {
      record.durationMs = clock.steadyMs() - startedMs
      return audit(record)
    }

    let request: ExchangeRequest | undefined
    let caller: Caller | undefined
    try {
      await steps.countRequest()
      request = parse()
      noteRequest(record, request)
      caller = await steps.authenticate(request.proof)
      record.issuer = caller.issuer
      record.caller = caller.subject
      if (request.target === steps.tickets?.audience) {
        const resolved = await steps.tickets.issue(caller, request)
        noteToken(record, resolved)
        await write()
        return { resolved }
      }
      const grant = await steps.authorize(caller, request)
      noteGrant(record, grant)
      const resolved = await steps.resolve(grant, () => steps.mint(grant, deadlineMs), deadlineMs)
      noteToken(record, resolved)
      await write()
      await steps.noteUse(grant, request, resolved.token)
      return { grant, resolved }
    } catch (error) {
      // A record that failed to be written is not tried again: that there is none is the answer.
      if (record.outcome === 'issued') throw error
      Object.assign(record, failureOf(error))
      await write()
      caller ??= isBrokerError(error) ? error.caller : undefined
      if (request !== undefined && caller !== undefined)
        await steps.noteRefusal({ requestId, caller, request, error })
      throw error
    }
  }
}

/** The record as it is filled on the way: one object, because on the hot path spreads cost more than all else here. */
type RecordDraft = { -readonly [Member in keyof AuditRecord]: AuditRecord[Member] }

function noteRequest(record: RecordDraft, request: ExchangeRequest): void {
  const { target, scopes, subject, tokenType, resource } = request
  record.credential = target
  record.scopesAsked = scopes
  record.tokenType = tokenType
  if (resource !== undefined) record.audience = resource
  if (subject !== undefined) record.subject = subject
}

function noteGrant(record: RecordDraft, { rule, credential, audience, boundary }: Grant): void {
  record.rule = rule
  record.credential = credential.name
  record.credentialVersion = credential.version
  if (audience !== undefined) record.audience = audience
  if (boundary !== undefined) record.bounded = true
}

function noteToken(record: RecordDraft, { token, digest, source, remaining }: ResolvedToken): void {
  record.outcome = 'issued'
  // A retiring version may have minted in the active one's place.
  const [version] = token.drawnFrom
  if (version !== undefined) record.credentialVersion = version
  record.source = source
  record.scopesIssued = token.scopes
  record.remaining = remaining
  if (token.signed === undefined) record.tokenDigest = digest
  else record.signedDigest = token.signed.digest
}
