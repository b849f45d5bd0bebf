import { BrokerError } from '../domain/broker-error.ts'
import type { GrantedCredential } from '../domain/grant.ts'
import { isMembers, parseJsonObject, type Members } from '../domain/json-object.ts'
import type { UpstreamReply } from './ask-upstream.ts'
import type { ActedFor } from './iam-credentials.ts'
import { quoteUpstream } from '../domain/quote-upstream.ts'
import { readOAuthError, type OAuthError } from './read-oauth-error.ts'
import { judgeFailure, type FailureContext, type UpstreamFailure } from './upstream-failure.ts'

export interface IamFailureContext extends FailureContext {
  readonly credential: GrantedCredential
  readonly account: ActedFor
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
      return refused(hintOnPermission(reasonIn(reply.answer.body), context))
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

/** google.rpc.ErrorInfo: Google's own name of the reason, and what it is about. */
interface ErrorReason {
  readonly reason?: string
  readonly permission?: string
}

function hintOnPermission({ reason, permission }: ErrorReason, context: IamFailureContext): string {
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

function reasonIn(body: string): ErrorReason {
  const { error } = parseJsonObject(body) ?? {}
  const details: unknown = isMembers(error) ? error['details'] : undefined
  const infos: readonly Members[] = Array.isArray(details) ? details.filter(isMembers) : []
  const info = infos.find((detail) => typeof detail['reason'] === 'string') ?? {}
  const { reason, metadata } = info
  const permission = isMembers(metadata) ? metadata['permission'] : undefined
  return {
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof permission === 'string' && /^[A-Za-z.]{1,80}$/.test(permission) ? { permission } : {}),
  }
}
