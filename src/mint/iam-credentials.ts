import type { Grant } from '../domain/grant.ts'
import type { Members } from '../domain/json-object.ts'
import type { Secret } from '../domain/secret.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { GetActingToken } from './acting-token.ts'
import type { AskUpstream, UpstreamReply } from './ask-upstream.ts'
import { judgeIamFailure } from './iam-failure.ts'
import type { NoteHealth } from './note-health.ts'
import { parseReplyMembers } from './parse-token-reply.ts'
import { nonsense } from './upstream-failure.ts'

/** docs/google.md §3.1. None of them has an effect that a repetition would double. */
export type IamOperation = 'generateAccessToken' | 'generateIdToken' | 'signJwt'

export interface IamQuestion {
  readonly grant: Grant
  readonly operation: IamOperation
  readonly account: ActedFor
  /** Without the delegates. */
  readonly body: Members
  /** By the steady clock. */
  readonly deadlineMs: number
}

/** A service account, by e-mail addresses. */
export interface ActedFor {
  readonly serviceAccount: string
  /** Nearest to the source first. */
  readonly delegates: readonly string[]
}

export interface IamAnswer {
  readonly members: Members
  readonly sentAt: EpochSeconds
  /** The versions that the acting token was drawn from. */
  readonly actedBy: readonly string[]
}

export interface IamCredentialsDeps {
  readonly ask: AskUpstream
  readonly clock: Clock
  readonly noteHealth: NoteHealth
  readonly actingToken: GetActingToken
  /** What comes before `/v1/…`. */
  readonly iamCredentialsUrl: string
}

export type AskIamCredentials = (question: IamQuestion) => Promise<IamAnswer>

/**
 * Asks Google to do something as a service account. An acting token that was kept and is refused is replaced once.
 * Throws what getting one throws, and each refusal with what somebody has to change.
 */
export function createIamCredentials(deps: IamCredentialsDeps): AskIamCredentials {
  const send = (question: IamQuestion, token: Secret): Promise<UpstreamReply> => {
    const { grant, operation, account, body, deadlineMs } = question
    return deps.ask({
      // The project must be the wildcard.
      url: `${deps.iamCredentialsUrl}/v1/projects/-/serviceAccounts/${account.serviceAccount}:${operation}`,
      headers: { authorization: `Bearer ${token.reveal()}` },
      json: { ...body, delegates: account.delegates.map((email) => `projects/-/serviceAccounts/${email}`) },
      credential: grant.credential.name,
      repeatable: 'always',
      deadlineMs,
    })
  }

  return async (question) => {
    const { grant, deadlineMs, operation, account } = question
    let acting = await deps.actingToken({ grant, deadlineMs })
    let reply = await send(question, acting.secret)
    if (isRefusedToken(reply)) {
      acting = await deps.actingToken({ grant, deadlineMs, refused: acting.secret })
      reply = await send(question, acting.secret)
    }
    if (reply.kind !== 'answer' || reply.answer.status !== 200) {
      const { error, blamesCredential } = judgeIamFailure(reply, {
        now: deps.clock.now(),
        secrets: [acting.secret],
        credential: grant.credential,
        account,
      })
      // Nothing is deleted, and the next success says healthy again (P17).
      if (blamesCredential)
        await deps.noteHealth(grant.credential, { status: 'broken', reason: error.reason })
      throw error
    }
    const members = parseReplyMembers(reply.answer)
    if (!members.ok) throw nonsense(`the reply to ${operation} has ${members.fault}`)
    return { members: members.value, sentAt: reply.sentAt, actedBy: acting.drawnFrom }
  }
}

function isRefusedToken(reply: UpstreamReply): boolean {
  return reply.kind === 'answer' && reply.answer.status === 401
}
