import { jwtBearerGrant } from '../domain/google.ts'
import type { Grant } from '../domain/grant.ts'
import type { Secret } from '../domain/secret.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpAnswer } from '../ports/http-client.ts'
import type { AskUpstream } from './ask-upstream.ts'
import { judgeAccessToken } from './judge-access-token.ts'
import { judgeIdToken } from './judge-id-token.ts'
import type { NoteHealth } from './note-health.ts'
import { parseReplyMembers, type Judged } from './parse-token-reply.ts'
import { judgeFailure, nonsense } from './upstream-failure.ts'

export interface ExchangeAssertionDeps {
  readonly ask: AskUpstream
  readonly clock: Clock
  readonly noteHealth: NoteHealth
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
        ...(versionCreatedAt === undefined ? {} : { versionCreatedAt }),
      })
      // Nothing is deleted, and the next success says healthy again (P17). Where another version stands by, it is
      // asked next, and what becomes of that is what is noted.
      if (blamesCredential && credential.standby === undefined)
        await noteHealth(credential, { status: 'broken', reason: error.reason })
      throw error
    }
    const token = judgeReply(exchange, reply.answer, reply.sentAt)
    if (!token.ok) throw nonsense(`the token endpoint's reply to an assertion has ${token.fault}`)
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
