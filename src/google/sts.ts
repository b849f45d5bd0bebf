import type { AccessBoundary } from '../domain/access-boundary.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { Grant } from '../domain/grant.ts'
import type { Members } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import { epochSeconds, later, type EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpAnswer } from '../ports/http-client.ts'
import type { SendWithRetry } from '../oauth/send-with-retry.ts'
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
  return async ({ grant, boundary, source, deadlineMs }) => {
    const reply = await deps.ask({
      url: deps.stsUrl,
      form: {
        grant_type: tokenExchange,
        requested_token_type: accessTokenType,
        subject_token: source.secret.reveal(),
        subject_token_type: accessTokenType,
        options: JSON.stringify({ accessBoundary: { accessBoundaryRules: boundary } }),
      },
      credential: grant.credential.name,
      repeatable: 'always',
      deadlineMs,
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
    const { accessToken, expiresIn } = told.value
    // docs/google.md §2.1: without expires_in, as for users' tokens, the source's end is the end.
    const ownEnd = expiresIn === undefined ? source.expiresAt : later(reply.sentAt, expiresIn)
    const expiresAt = epochSeconds(Math.min(source.expiresAt, ownEnd))
    return { kind: 'bounded', token: { ...source, secret: accessToken, expiresAt } }
  }
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
  return async ({ grant, source, deadlineMs }) => {
    const reply = await deps.ask({
      url: deps.stsUrl,
      form: {
        grant_type: tokenExchange,
        requested_token_type: intermediaryType,
        subject_token: source.secret.reveal(),
        subject_token_type: accessTokenType,
      },
      credential: grant.credential.name,
      repeatable: 'always',
      deadlineMs,
    })
    if (reply.kind !== 'answer' || reply.answer.status !== 200) {
      const { error } = judgeFailure(reply, { now: deps.clock.now(), secrets: [source.secret] })
      if (error.code === 'upstream_unavailable') throw error
      throw invalidResponse(`no intermediary token: ${error.reason}`)
    }
    const told = judgeIntermediary(reply.answer, source)
    if (!told.ok) throw invalidResponse(`the reply with an intermediary token has ${told.fault}`)
    const { accessToken, expiresIn, sessionKey } = told.value
    const ownEnd = expiresIn === undefined ? source.expiresAt : later(reply.sentAt, expiresIn)
    const expiresAt = epochSeconds(Math.min(source.expiresAt, ownEnd))
    return { token: accessToken, sessionKey, expiresAt }
  }
}

function judgeIntermediary(
  answer: HttpAnswer,
  source: MintedToken,
): Judged<AccessTokenReply & { readonly sessionKey: Secret }> {
  const members = parseReplyMembers(answer)
  if (!members.ok) return members
  const { issued_token_type: type, access_boundary_session_key: sessionKey } = members.value
  if (type !== intermediaryType && type !== accessTokenType)
    return { ok: false, fault: 'an issued_token_type other than asked for' }
  const reply = parseAccessToken(members.value)
  if (!reply.ok) return reply
  if (typeof sessionKey !== 'string') return { ok: false, fault: 'no access_boundary_session_key' }
  // With a suffix it would be no more bounded than without.
  if (reply.value.accessToken.reveal() === source.secret.reveal())
    return { ok: false, fault: 'the source token itself' }
  return { ok: true, value: { ...reply.value, sessionKey: new Secret(sessionKey) } }
}

function judgeReply(answer: HttpAnswer, source: MintedToken): Judged<AccessTokenReply> {
  const members = parseReplyMembers(answer)
  if (!members.ok) return members
  if (!isAccessToken(members.value)) return { ok: false, fault: 'an issued_token_type other than asked for' }
  const reply = parseAccessToken(members.value)
  if (!reply.ok) return reply
  if (reply.value.accessToken.reveal() === source.secret.reveal())
    return { ok: false, fault: 'the source token itself, without a boundary' }
  const { scopes } = reply.value
  const isWider = scopes !== undefined && carriedScopes(source.scopes, scopes) === undefined
  return isWider ? { ok: false, fault: 'a token that carries more scopes than its source' } : reply
}

/** RFC 8693 §2.2.1: required. */
function isAccessToken({ issued_token_type: type }: Members): boolean {
  return type === accessTokenType
}
