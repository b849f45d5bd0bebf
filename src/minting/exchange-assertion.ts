import { jwtBearerGrant } from '../domain/google.ts'
import type { Grant } from '../domain/grant.ts'
import type { Secret } from '../domain/secret.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpAnswer } from '../ports/http-client.ts'
import type { SendWithRetry } from '../oauth/send-with-retry.ts'
import {
  judgeAccessToken,
  parseReplyMembers,
  type Judged,
  parseIdToken,
  type AskedIdToken,
} from '../oauth/token-response.ts'
import type { RecordHealth } from './record-health.ts'
import { judgeFailure, invalidResponse } from '../oauth/upstream-failure.ts'
import type { Members } from '../domain/json.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ExchangeAssertionDeps {
  readonly ask: SendWithRetry
  readonly clock: Clock
  readonly noteHealth: RecordHealth
  readonly tokenUrl: string
}

export interface AssertionExchange {
  readonly grant: Grant
  /** Signed for what the grant allows. */
  readonly assertion: Secret
  readonly drawnFrom: readonly string[]
  /** Of the key that signed, where it may be so new that it is not known everywhere. */
  readonly versionCreatedAt?: EpochSeconds
  readonly deadlineMs: number
}

export type ExchangeAssertion = (exchange: AssertionExchange) => Promise<MintedToken>

/**
 * The token that Google's token endpoint gives for a signed assertion (RFC 7523). The reply names no scope: the token
 * carries what was signed. A failure that is the credential's own fault is noted, a success is not.
 */
export function createExchangeAssertion(deps: ExchangeAssertionDeps): ExchangeAssertion {
  const { ask, clock, noteHealth, tokenUrl } = deps

  return async (exchange) => {
    const { grant, assertion, versionCreatedAt, deadlineMs } = exchange
    const { credential, subject } = grant
    const reply = await ask({
      url: tokenUrl,
      form: { grant_type: jwtBearerGrant, assertion: assertion.reveal() },
      credential: credential.name,
      repeatable: 'always',
      deadlineMs,
    })
    if (reply.kind !== 'answer' || reply.answer.status !== 200) {
      const { error, blamesCredential } = judgeFailure(reply, {
        now: clock.now(),
        secrets: [assertion],
        actsForUser: subject !== undefined,
        ...omitUndefined({ versionCreatedAt }),
      })
      // Nothing is deleted, and the next success says healthy again (P17). Where another version stands by, it is
      // asked next, and what becomes of that is what is noted.
      if (blamesCredential && credential.standby === undefined)
        await noteHealth(credential, { status: 'broken', reason: error.reason })
      throw error
    }
    const token = judgeReply(exchange, reply.answer, reply.sentAt)
    if (!token.ok) throw invalidResponse(`the token endpoint's reply to an assertion has ${token.fault}`)
    return token.value
  }
}

function judgeReply(
  { grant: { tokenType, scopes, audience = '' }, drawnFrom }: AssertionExchange,
  answer: HttpAnswer,
  sentAt: EpochSeconds,
): Judged<MintedToken> {
  const members = parseReplyMembers(answer)
  if (!members.ok) return members
  return tokenType === 'id_token'
    ? judgeIdToken(members.value, { audience, sentAt, drawnFrom })
    : judgeAccessToken(members.value, { asked: scopes, sentAt, drawnFrom })
}

export interface WantedIdToken extends Omit<AskedIdToken, 'now'> {
  readonly sentAt: EpochSeconds
  readonly drawnFrom: readonly string[]
}

/** The ID token of a reply, if it is for whom it was asked, and of whom. It carries no scope. */
export function judgeIdToken(
  members: Members,
  { sentAt, drawnFrom, ...asked }: WantedIdToken,
): Judged<MintedToken> {
  const reply = parseIdToken(members, { ...asked, now: sentAt })
  if (!reply.ok) return reply
  const { idToken: secret, expiresAt } = reply.value
  return {
    ok: true,
    value: { secret, tokenType: 'id_token', scopes: [], drawnFrom, issuedAt: sentAt, expiresAt },
  }
}

/** Whom the granted ID token is for; `target_unavailable` where it should do what no ID token can. */
export function requireIdTokenAudience({ credential, audience, subject, boundary = [] }: Grant): string {
  if (audience === undefined || subject !== undefined || boundary.length > 0)
    throw new BrokerError('target_unavailable', {
      reason: `credential ${credential.name}: an ID token needs an audience, and takes no subject and no boundary`,
    })
  return audience
}
