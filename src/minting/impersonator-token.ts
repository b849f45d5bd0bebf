import { BrokerError } from '../domain/broker-error.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { Grant } from '../domain/grant.ts'
import type { Secret } from '../domain/secret.ts'
import type { MintBy, MintedToken } from '../domain/token.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import {
  iamCredentialsUrl,
  judgeIamFailure,
  type IamOperation,
  type ImpersonationTarget,
} from '../google/iam-credentials.ts'
import type { Members } from '../domain/json.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { SendWithRetry, UpstreamReply } from '../oauth/send-with-retry.ts'
import { parseReplyMembers } from '../oauth/token-response.ts'
import { invalidResponse } from '../oauth/upstream-failure.ts'
import type { RecordHealth } from './record-health.ts'

/**
 * Shares the token of a grant between requests and instances until near its end, like any token that is issued; it is
 * minted when there is none.
 */
export type ShareToken = (
  grant: Grant,
  mint: () => Promise<MintedToken>,
  deadlineMs: number,
) => Promise<MintedToken>

export interface ImpersonatorTokenDeps {
  readonly shareToken: ShareToken
  readonly mintFrom: MintBy
  /** Absent when the broker has no Google identity. */
  readonly ownIdentity?: OwnIdentity
}

export interface ImpersonatorTokenFor {
  readonly grant: Grant
  /** By the steady clock. */
  readonly deadlineMs: number
  /** One that Google did not accept. */
  readonly refused?: Secret
}

export interface ImpersonatorToken {
  readonly secret: Secret
  /** The versions of the source that it was drawn from; none for the broker's own. */
  readonly drawnFrom: readonly string[]
}

export type GetImpersonatorToken = (wanted: ImpersonatorTokenFor) => Promise<ImpersonatorToken>

/**
 * The token that acts for a service account: of the credential's source, or else the broker's own. It carries
 * cloud-platform and is never issued on the strength of this grant. Throws what minting from the source throws.
 */
export function createImpersonatorToken({
  shareToken,
  mintFrom,
  ownIdentity,
}: ImpersonatorTokenDeps): GetImpersonatorToken {
  return async ({ grant, deadlineMs, refused }) => {
    const { caller, rule, credential } = grant
    const { source } = credential
    if (source === undefined) {
      const identity = requireOwnIdentity(ownIdentity, credential.name)
      return { secret: await identity.actingToken(refused), drawnFrom: [] }
    }
    const wanted: Grant = {
      caller,
      rule,
      credential: source,
      scopes: [cloudPlatformScope],
      tokenType: 'access_token',
    }
    const mint = () => mintFrom(wanted, deadlineMs)
    // Another for the one that was refused is for this request only: who shares that one finds out likewise.
    const { secret, drawnFrom } = await (refused === undefined
      ? shareToken(wanted, mint, deadlineMs)
      : mint())
    return { secret, drawnFrom }
  }
}

export function requireOwnIdentity(identity: OwnIdentity | undefined, name: string): OwnIdentity {
  if (identity !== undefined) return identity
  throw new BrokerError('target_unavailable', {
    reason:
      `credential ${name} draws on the broker's own identity, and it has none here: set ` +
      'DOWNSCOPE_GOOGLE_CREDENTIALS or DOWNSCOPE_GOOGLE_FEDERATION',
  })
}

export interface IamQuestion {
  readonly grant: Grant
  readonly operation: IamOperation
  readonly account: ImpersonationTarget
  /** Without the delegates. */
  readonly body: Members
  /** By the steady clock. */
  readonly deadlineMs: number
}

export interface IamAnswer {
  readonly members: Members
  readonly sentAt: EpochSeconds
  /** The versions that the acting token was drawn from. */
  readonly actedBy: readonly string[]
}

export interface IamCredentialsDeps {
  readonly ask: SendWithRetry
  readonly clock: Clock
  readonly noteHealth: RecordHealth
  readonly actingToken: GetImpersonatorToken
  /** What comes before `/v1/…`. */
  readonly iamCredentialsUrl: string
}

export type CallIamCredentials = (question: IamQuestion) => Promise<IamAnswer>

/**
 * Asks Google to do something as a service account. An acting token that was kept and is refused is replaced once.
 * Throws what getting one throws, and each refusal with what somebody has to change.
 */
export function createIamCredentials(deps: IamCredentialsDeps): CallIamCredentials {
  const send = (question: IamQuestion, token: Secret): Promise<UpstreamReply> => {
    const { grant, operation, account, body, deadlineMs } = question
    return deps.ask({
      url: iamCredentialsUrl(deps.iamCredentialsUrl, account.serviceAccount, operation),
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
    if (reply.kind === 'answer' && reply.answer.status === 401) {
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
    if (!members.ok) throw invalidResponse(`the reply to ${operation} has ${members.fault}`)
    return { members: members.value, sentAt: reply.sentAt, actedBy: acting.drawnFrom }
  }
}
