import type { AccessBoundary } from '../domain/access-boundary.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { Grant } from '../domain/grant.ts'
import { fault } from '../domain/result.ts'
import { Secret } from '../domain/secret.ts'
import { epochSeconds, later, type EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpAnswer } from '../ports/http-client.ts'
import type { SendWithRetry, UpstreamReply } from '../oauth/send-with-retry.ts'
import {
  carriedScopes,
  parseAccessToken,
  parseReplyMembers,
  type AccessTokenReply,
  type Judged,
} from '../oauth/token-response.ts'
import { formRequest, type RequestParts } from './api-request.ts'
import { judgeFailure, invalidResponse } from '../oauth/upstream-failure.ts'

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const intermediaryType = 'urn:ietf:params:oauth:token-type:access_boundary_intermediary_token'

export interface FederatedExchange {
  readonly stsUrl: string
  /** The pool provider's full resource name: `//iam.googleapis.com/projects/…`. */
  readonly provider: string
  readonly assertion: Secret
  readonly scope: string
}

/** The exchange of an assertion for a token of the principal that the provider knows it as (docs/google.md §2.1). */
export function federatedExchange({ stsUrl, provider, assertion, scope }: FederatedExchange): RequestParts {
  return formRequest(stsUrl, {
    grant_type: tokenExchange,
    audience: provider,
    scope,
    requested_token_type: accessTokenType,
    subject_token: assertion.reveal(),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  })
}

export interface AccessBoundaryDeps {
  readonly ask: SendWithRetry
  readonly clock: Clock
  readonly stsUrl: string
}

export interface BoundaryTask {
  readonly grant: { readonly credential: Pick<Grant['credential'], 'name'> }
  readonly boundary: AccessBoundary
  /** Without a boundary: a token that has one already cannot get another (docs/google.md §2.2). */
  readonly source: MintedToken
  readonly deadlineMs: number
}

export type Bounded =
  | { readonly kind: 'bounded'; readonly token: MintedToken }
  /** The STS does not take the source, whatever the boundary. */
  | { readonly kind: 'source_refused'; readonly error: BrokerError }

export type ExchangeBoundary = (task: BoundaryTask) => Promise<Bounded>

/** A token that reaches no further than the boundary and lives no longer than its source, which goes no further. */
export function createExchangeBoundary(deps: AccessBoundaryDeps): ExchangeBoundary {
  return async ({ boundary, ...task }) => {
    const { source } = task
    const reply = await exchange(deps, task, {
      requested_token_type: accessTokenType,
      options: JSON.stringify({ accessBoundary: { accessBoundaryRules: boundary } }),
    })
    if (reply.kind !== 'answer' || reply.answer.status !== 200) {
      const failure = judgeFailure(reply, { now: deps.clock.now(), secrets: [source.secret] })
      // The STS saw no credential of ours but the token of a moment ago: its refusal is about that.
      if (!failure.blamesCredential) throw namingTheSwitch(failure.error, source)
      return {
        kind: 'source_refused',
        error: invalidResponse(`of a token without boundary, ${failure.error.reason}`),
      }
    }
    const told = judgeReply(reply.answer, source)
    if (!told.ok) throw invalidResponse(`the STS's reply has ${told.fault}`)
    const expiresAt = endOf(reply.sentAt, told.value, source)
    return { kind: 'bounded', token: { ...source, secret: told.value.accessToken, expiresAt } }
  }
}

/** Offers the source as the subject token (RFC 8693 §2.1). */
function exchange(
  { ask, stsUrl }: AccessBoundaryDeps,
  { grant, source, deadlineMs }: Omit<BoundaryTask, 'boundary'>,
  wanted: Readonly<Record<string, string>>,
): Promise<UpstreamReply> {
  const subject = { subject_token: source.secret.reveal(), subject_token_type: accessTokenType }
  const form = { grant_type: tokenExchange, ...subject, ...wanted }
  return ask({ url: stsUrl, form, credential: grant.credential.name, repeatable: 'always', deadlineMs })
}

/** docs/google.md §2.1: without expires_in, as for users' tokens, the source's end is the end. */
function endOf(
  sentAt: EpochSeconds,
  { expiresIn }: AccessTokenReply,
  { expiresAt }: MintedToken,
): EpochSeconds {
  return expiresIn === undefined ? expiresAt : epochSeconds(Math.min(expiresAt, later(sentAt, expiresIn)))
}

/** Some have seen the STS refuse every source but one of cloud-platform. */
function namingTheSwitch(error: BrokerError, source: MintedToken): BrokerError {
  if (error.code !== 'scope_refused' || source.scopes.includes(cloudPlatformScope)) return error
  return new BrokerError('scope_refused', {
    reason:
      `${error.reason}; if the Security Token Service bounds no token of the granted scopes, set the credential's ` +
      'boundary_source to cloud-platform (docs/downscoping.md)',
  })
}

/** An intermediary token, and the key that seals boundaries behind it. Both together are all that the account has. */
export interface Intermediary {
  readonly token: Secret
  /** As it came. */
  readonly sessionKey: Secret
  readonly expiresAt: EpochSeconds
}

export type GetIntermediary = (task: Omit<BoundaryTask, 'boundary'>) => Promise<Intermediary>

/**
 * Exchanges a service account's token of cloud-platform. It ends with that token. Throws `upstream_unavailable` for what
 * passes, and `upstream_nonsense` where there will be no intermediary token, whatever the reason.
 */
export function createGetIntermediary(deps: AccessBoundaryDeps): GetIntermediary {
  return async (task) => {
    const { source } = task
    const reply = await exchange(deps, task, { requested_token_type: intermediaryType })
    if (reply.kind !== 'answer' || reply.answer.status !== 200) {
      const { error } = judgeFailure(reply, { now: deps.clock.now(), secrets: [source.secret] })
      if (error.code === 'upstream_unavailable') throw error
      throw invalidResponse(`no intermediary token: ${error.reason}`)
    }
    const told = judgeIntermediary(reply.answer, source)
    if (!told.ok) throw invalidResponse(`the reply with an intermediary token has ${told.fault}`)
    const { accessToken, sessionKey } = told.value
    return { token: accessToken, sessionKey, expiresAt: endOf(reply.sentAt, told.value, source) }
  }
}

function judgeIntermediary(
  answer: HttpAnswer,
  source: MintedToken,
): Judged<AccessTokenReply & { readonly sessionKey: Secret }> {
  const reply = judgeExchange(answer, source, [intermediaryType, accessTokenType])
  if (!reply.ok) return reply
  const { sessionKey } = reply.value
  if (typeof sessionKey !== 'string') return fault('no access_boundary_session_key')
  return { ok: true, value: { ...reply.value, sessionKey: new Secret(sessionKey) } }
}

function judgeReply(answer: HttpAnswer, source: MintedToken): Judged<AccessTokenReply> {
  const reply = judgeExchange(answer, source, [accessTokenType])
  if (!reply.ok) return reply
  const { scopes } = reply.value
  const isWider = scopes !== undefined && carriedScopes(source.scopes, scopes) === undefined
  return isWider ? fault('a token that carries more scopes than its source') : reply
}

/** RFC 8693 §2.2.1: `issued_token_type` is required. */
function judgeExchange(
  answer: HttpAnswer,
  source: MintedToken,
  types: readonly unknown[],
): Judged<AccessTokenReply & { readonly sessionKey: unknown }> {
  const members = parseReplyMembers(answer)
  if (!members.ok) return members
  const { issued_token_type: type, access_boundary_session_key: sessionKey } = members.value
  if (!types.includes(type)) return fault('an issued_token_type other than asked for')
  const reply = parseAccessToken(members.value)
  if (!reply.ok) return reply
  // It would be no more bounded than before.
  if (reply.value.accessToken.reveal() === source.secret.reveal()) return fault('the source token itself')
  return { ok: true, value: { ...reply.value, sessionKey } }
}
