import { failureOf, type AuditRecord } from './domain/audit-record.ts'
import type { Caller } from './domain/caller.ts'
import type { ExchangeRequest, Proof } from './domain/exchange-request.ts'
import type { Grant } from './domain/grant.ts'
import type { MintedToken, ResolvedToken } from './domain/token.ts'
import type { Seconds } from './domain/time.ts'
import type { AuditTrail } from './ports/audit-trail.ts'
import type { Clock } from './ports/clock.ts'

/** The rooms, in the order in which every request walks through them. */
export interface ExchangeSteps {
  authenticate(proof: Proof): Promise<Caller>
  authorize(caller: Caller, request: ExchangeRequest): Promise<Grant>
  resolve(grant: Grant, mint: () => Promise<MintedToken>): Promise<ResolvedToken>
  mint(grant: Grant): Promise<MintedToken>
}

export interface ExchangeContext {
  readonly requestId: string
  /** Throws what is wrong with the request: a refusal like any other, and audited like any other. */
  readonly parse: () => ExchangeRequest
}

export interface ExchangeOutcome {
  readonly grant: Grant
  readonly resolved: ResolvedToken
  /** What is left of the token's life, by whichever clock says less. */
  readonly remaining: Seconds
}

/**
 * One request's whole way to a token. Before it resolves or rejects, exactly one audit record of the decision is
 * written (P27); when that fails there is no token. Rejects with BrokerError for planned failures; the rest are bugs.
 */
export type Exchange = (context: ExchangeContext) => Promise<ExchangeOutcome>

export function createExchange(steps: ExchangeSteps, audit: AuditTrail, clock: Clock): Exchange {
  return async ({ requestId, parse }) => {
    const startedMs = clock.steadyMs()
    let request: ExchangeRequest | undefined
    let caller: Caller | undefined
    let grant: Grant | undefined
    let resolved: ResolvedToken | undefined
    let failure: unknown

    try {
      request = parse()
      caller = await steps.authenticate(request.proof)
      const allowed = await steps.authorize(caller, request)
      grant = allowed
      resolved = await steps.resolve(allowed, () => steps.mint(allowed))
    } catch (error) {
      failure = error
    }

    await audit({
      requestId,
      at: clock.now(),
      action: 'token.exchange',
      ...asked(request, caller),
      ...(grant === undefined ? {} : granted(grant)),
      ...(resolved === undefined ? failureOf(failure) : issued(resolved)),
      durationMs: Math.round((clock.steadyMs() - startedMs) * 1000) / 1000,
    })
    if (grant === undefined || resolved === undefined) throw failure
    return { grant, resolved, remaining: resolved.remaining }
  }
}

function asked(request: ExchangeRequest | undefined, caller: Caller | undefined): Partial<AuditRecord> {
  return {
    ...(request === undefined ? {} : { credential: request.target, scopesAsked: request.scopes }),
    ...(request?.subject === undefined ? {} : { subject: request.subject }),
    ...(caller === undefined ? {} : { issuer: caller.issuer, caller: caller.subject }),
  }
}

function granted({ rule, credential }: Grant): Partial<AuditRecord> {
  return { rule, credential: credential.name, credentialVersion: credential.version }
}

function issued(resolved: ResolvedToken) {
  const { token, digest, source, remaining } = resolved
  return { outcome: 'issued', source, scopesIssued: token.scopes, remaining, tokenDigest: digest } as const
}
