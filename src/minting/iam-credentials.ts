import { fault } from '../domain/result.ts'
import { readGoogleError, type GoogleError } from '../google/error-body.ts'
import type { Grant, GrantedCredential } from '../domain/grant.ts'
import type { Members } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import { type EpochSeconds, epochSeconds, later, until, type Seconds, parseRfc3339 } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { GetImpersonatorToken } from './impersonator-token.ts'
import type { SendWithRetry, UpstreamReply } from '../oauth/send-with-retry.ts'
import type { RecordHealth } from './record-health.ts'
import { parseReplyMembers, isTokenText, type Judged } from '../oauth/token-response.ts'
import {
  invalidResponse,
  quoteUpstream,
  readOAuthError,
  type OAuthError,
  judgeFailure,
  type FailureContext,
  type UpstreamFailure,
} from '../oauth/upstream-failure.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { MintedToken } from '../domain/token.ts'

/** docs/google.md §3.1. None of them has an effect that a repetition would double. */
export type IamOperation = 'generateAccessToken' | 'generateIdToken' | 'signJwt'

export interface IamQuestion {
  readonly grant: Grant
  readonly operation: IamOperation
  readonly account: ImpersonationTarget
  /** Without the delegates. */
  readonly body: Members
  /** By the steady clock. */
  readonly deadlineMs: number
}

/** A service account, by e-mail addresses. */
export interface ImpersonationTarget {
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
    if (!members.ok) throw invalidResponse(`the reply to ${operation} has ${members.fault}`)
    return { members: members.value, sentAt: reply.sentAt, actedBy: acting.drawnFrom }
  }
}

function isRefusedToken(reply: UpstreamReply): boolean {
  return reply.kind === 'answer' && reply.answer.status === 401
}

export interface IamFailureContext extends FailureContext {
  readonly credential: GrantedCredential
  readonly account: ImpersonationTarget
}

/** Judges every reply of IAM Credentials that is not a 200: the reason says who has to be given what, and where. */
function judgeIamFailure(reply: UpstreamReply, context: IamFailureContext): UpstreamFailure {
  const fault = reply.kind === 'answer' ? readOAuthError(reply.answer) : undefined
  if (reply.kind !== 'answer' || fault === undefined) return judgeFailure(reply, context)
  const said = `IAM Credentials answered ${reply.answer.status} ${quoteFault(fault, context)}`
  const refused = (hint: string): UpstreamFailure => ({
    error: new BrokerError('target_unavailable', { reason: `${said}: ${hint}` }),
    blamesCredential: true,
  })
  switch (fault.error) {
    case 'PERMISSION_DENIED':
      return refused(hintOnPermission(readGoogleError(reply.answer.body) ?? {}, context))
    case 'UNAUTHENTICATED':
      return refused(`the token of ${actorOf(context)} is not accepted, and neither is a fresh one`)
    case 'NOT_FOUND':
      return refused(`there is no service account ${context.account.serviceAccount}`)
    case 'INVALID_ARGUMENT':
    case 'FAILED_PRECONDITION':
      return { error: errorOfArgument(said, fault), blamesCredential: false }
    default:
      return judgeFailure(reply, context)
  }
}

function hintOnPermission({ reason, permission }: GoogleError, context: IamFailureContext): string {
  const actor = actorOf(context)
  if (reason === 'ACCESS_TOKEN_SCOPE_INSUFFICIENT')
    return `the token of ${actor} carries no cloud-platform; on Compute Engine the machine's own access scopes limit it`
  if (reason === 'SERVICE_DISABLED')
    return `the API iamcredentials.googleapis.com is not enabled in the project of ${actor}`
  const { serviceAccount, delegates } = context.account
  const chain = [...delegates, serviceAccount]
  const places = chain.map((account, index) => `${chain[index - 1] ?? actor} on ${account}`)
  const told = permission === undefined ? '' : ` (${permission})`
  return (
    `the role roles/iam.serviceAccountTokenCreator${told} is missing for ${places.join(', or for ')}, ` +
    'or an account does not exist; a new grant takes some minutes'
  )
}

function actorOf({ credential: { source } }: IamFailureContext): string {
  return source === undefined ? "the broker's own identity" : `the source ${source.name}`
}

function errorOfArgument(said: string, { description = '' }: OAuthError): BrokerError {
  if (/scope/i.test(description))
    return new BrokerError('scope_refused', { reason: `${said}: a scope is unknown` })
  const hint = /lifetime/i.test(description)
    ? 'more than an hour needs the organisation policy iam.allowServiceAccountCredentialLifetimeExtension, naming the account'
    : 'an argument is not accepted'
  return new BrokerError('target_unavailable', { reason: `${said}: ${hint}` })
}

function quoteFault({ error, description }: OAuthError, { secrets }: FailureContext): string {
  return quoteUpstream([error, description].filter((part) => part !== undefined).join(', '), secrets)
}

/** Google's clock may be ahead of ours, and its answer under way. */
const skewMax = 60

export interface GeneratedTokenAsked {
  readonly scopes: ScopeSet
  readonly lifetime: Seconds
  readonly sentAt: EpochSeconds
  readonly drawnFrom: readonly string[]
}

/**
 * The token of a reply to generateAccessToken, if it lives no longer than was asked for; by our clock it ends no later
 * than that, and no later than it says. A fault names the member and never its value.
 */
export function judgeGeneratedToken(
  { accessToken, expireTime }: Members,
  { scopes, lifetime, sentAt, drawnFrom }: GeneratedTokenAsked,
): Judged<MintedToken> {
  if (!isTokenText(accessToken)) return fault('no usable accessToken')
  const end = typeof expireTime === 'string' ? parseRfc3339(expireTime) : undefined
  if (end === undefined) return fault('no usable expireTime')
  const life = until(end, sentAt)
  if (life > lifetime + skewMax)
    return fault(`a token that lives ${life} s where ${lifetime} s were asked for`)
  if (!(life >= 1)) return fault("an expireTime that is past by the broker's clock")
  return {
    ok: true,
    value: {
      secret: new Secret(accessToken),
      tokenType: 'access_token',
      scopes,
      drawnFrom,
      issuedAt: sentAt,
      expiresAt: epochSeconds(Math.min(end, later(sentAt, lifetime))),
    },
  }
}
