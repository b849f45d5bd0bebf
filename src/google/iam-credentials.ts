import type { GrantedCredential } from '../domain/grant.ts'
import type { Members } from '../domain/json.ts'
import { fault, type Result } from '../domain/result.ts'
import { Secret } from '../domain/secret.ts'
import { parseRfc3339, type EpochSeconds } from '../domain/time.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { UpstreamReply } from '../oauth/send-with-retry.ts'
import { isTokenText } from '../oauth/token-response.ts'
import {
  judgeFailure,
  quoteUpstream,
  readOAuthError,
  type FailureContext,
  type OAuthError,
  type UpstreamFailure,
} from '../oauth/upstream-failure.ts'
import { readGoogleError, type GoogleError } from './api-request.ts'

/** docs/google.md §3.1. None of them has an effect that a repetition would double. */
export type IamOperation = 'generateAccessToken' | 'generateIdToken' | 'signJwt' | 'signBlob'

/** Where IAM Credentials does something as a service account; `baseUrl` is what comes before `/v1/…`. */
export function iamCredentialsUrl(baseUrl: string, serviceAccount: string, operation: IamOperation): string {
  // The project must be the wildcard.
  return `${baseUrl}/v1/projects/-/serviceAccounts/${serviceAccount}:${operation}`
}

/** A service account, by e-mail addresses. */
export interface ImpersonationTarget {
  readonly serviceAccount: string
  /** Nearest to the source first. */
  readonly delegates: readonly string[]
}

export interface IamFailureContext extends FailureContext {
  readonly credential: GrantedCredential
  readonly account: ImpersonationTarget
}

/** Judges every reply of IAM Credentials that is not a 200: the reason says who has to be given what, and where. */
export function judgeIamFailure(reply: UpstreamReply, context: IamFailureContext): UpstreamFailure {
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

export interface GeneratedToken {
  readonly token: Secret
  readonly endsAt: EpochSeconds
}

/** The token of a reply to generateAccessToken. A fault names the member and never its value. */
export function readGeneratedToken({ accessToken, expireTime }: Members): Result<GeneratedToken> {
  if (!isTokenText(accessToken)) return fault('no usable accessToken')
  const endsAt = typeof expireTime === 'string' ? parseRfc3339(expireTime) : undefined
  if (endsAt === undefined) return fault('no usable expireTime')
  return { ok: true, value: { token: new Secret(accessToken), endsAt } }
}
