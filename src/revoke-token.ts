import { failureOf, type AuditRecord } from './domain/audit-record.ts'
import { isBrokerError } from './domain/broker-error.ts'
import { notAsked, type RefusedRequest } from './domain/explanation.ts'
import type { Caller } from './domain/caller.ts'
import { omitUndefined } from './domain/omit-undefined.ts'
import type { Proof } from './domain/exchange-request.ts'
import type { Secret } from './domain/secret.ts'
import type { AuditTrail } from './ports/log.ts'
import type { Clock } from './ports/clock.ts'

/** A token of ours that was revoked. */
export interface RevokedTokenFacts {
  /** SHA-256 in lower-case hex. */
  readonly digest: string
  /** Absent for a ticket. */
  readonly credential?: string
}

export interface RevokeTokenSteps {
  /** Before anything of the request is parsed. */
  countRequest(): Promise<void>
  authenticate(proof: Proof): Promise<Caller>
  /** Stores why the request was refused or failed, so that an administrator can explain it. */
  noteRefusal(refused: RefusedRequest): Promise<void> | undefined
  /** `undefined` for a token that is not ours or is over. Throws when the caller may not use its credential. */
  revoke(caller: Caller, token: Secret): Promise<RevokedTokenFacts | undefined>
}

export interface RevocationRequest {
  readonly proof: Proof
  readonly token: Secret
}

export interface RevocationContext {
  readonly requestId: string
  /** Throws what is wrong with the request, which is refused and audited like any other. */
  readonly parse: () => RevocationRequest
}

/** Revokes one token (RFC 7009). */
export type RevokeToken = (context: RevocationContext) => Promise<void>

/**
 * The pipeline of a revocation: authenticate, then revoke. Exactly one audit record is written before it resolves
 * or rejects (P27).
 */
export function createRevokeToken(steps: RevokeTokenSteps, audit: AuditTrail, clock: Clock): RevokeToken {
  return async ({ requestId, parse }) => {
    const startedMs = clock.steadyMs()
    let caller: Caller | undefined
    const write = (ending: Partial<AuditRecord> & Pick<AuditRecord, 'outcome'>) =>
      audit({
        requestId,
        at: clock.now(),
        action: 'token.revoke',
        ...(caller !== undefined && { issuer: caller.issuer, caller: caller.subject }),
        ...ending,
        durationMs: clock.steadyMs() - startedMs,
      })

    let revoked
    try {
      await steps.countRequest()
      const { proof, token } = parse()
      caller = await steps.authenticate(proof)
      revoked = await steps.revoke(caller, token)
    } catch (error) {
      await write(failureOf(error))
      caller ??= isBrokerError(error) ? error.caller : undefined
      if (caller !== undefined)
        await steps.noteRefusal({ requestId, caller, action: 'token.revoke', request: notAsked(), error })
      throw error
    }
    await write({
      outcome: 'done',
      ...omitUndefined({ credential: revoked?.credential, tokenDigest: revoked?.digest }),
    })
  }
}
