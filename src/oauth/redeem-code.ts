import type { OAuthClient } from '../domain/credential.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import { later, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import { grantingAnswer, type RequestToken } from './token-endpoint.ts'
import { isTokenText, parseAccessToken, parseRefreshToken, parseReplyMembers } from './token-response.ts'
import type { ResolvedUpstream } from './resolve-upstream.ts'
import { readOAuthError, judgeFailure, invalidResponse } from './upstream-failure.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface CodeToRedeem {
  readonly reached: ResolvedUpstream
  readonly client: OAuthClient
  /** The name of the credential that the client is. */
  readonly credential: string
  readonly code: Secret
  readonly verifier: Secret
  readonly redirectUri: string
}

/** What a consent brought. */
export interface RedeemedCode {
  readonly accessToken: Secret
  /** Absent: the upstream gave none. */
  readonly refreshToken?: Secret
  readonly refreshTokenEndsAt?: EpochSeconds
  /** Absent: what was asked for (RFC 6749 §5.1). */
  readonly scopes?: ScopeSet
  readonly idToken?: string
}

export interface RedeemCodeDeps {
  readonly ask: RequestToken
  readonly clock: Clock
}

const budgetMs = 5_000

/** Redeems an authorization code (RFC 6749 §4.1.3), once. Throws what an upstream's refusal is. */
export function createRedeemCode({
  ask,
  clock,
}: RedeemCodeDeps): (code: CodeToRedeem) => Promise<RedeemedCode> {
  return async ({ reached, client, credential, code, verifier, redirectUri }) => {
    const { reply, secrets } = await ask({
      reached,
      client,
      credential,
      form: {
        grant_type: 'authorization_code',
        code: code.reveal(),
        redirect_uri: redirectUri,
        code_verifier: verifier.reveal(),
      },
      // A code counts once, and one that comes twice is taken for stolen (RFC 6749 §4.1.2).
      repeatable: 'never',
      deadlineMs: clock.steadyMs() + budgetMs,
    })
    const granting = grantingAnswer(reply, reached.upstream)
    if (granting === undefined)
      throw judgeFailure(reply, { now: clock.now(), secrets: [...secrets, code, verifier] }).error
    const members = parseReplyMembers(granting.answer)
    if (!members.ok) throw unfit(members.fault)
    // GitHub tells no scope where an app has permissions instead.
    const { scope, ...rest } = members.value
    const access = parseAccessToken(scope === '' ? rest : members.value, reached.upstream)
    if (!access.ok) throw unfit(access.fault)
    const refresh = parseRefreshToken(members.value)
    if (!refresh.ok) throw unfit(refresh.fault)
    const { id_token: idToken } = members.value
    const { token: refreshToken, expiresIn } = refresh.value
    return {
      accessToken: access.value.accessToken,
      ...omitUndefined({ refreshToken }),
      ...(expiresIn !== undefined && { refreshTokenEndsAt: later(granting.sentAt, expiresIn) }),
      ...omitUndefined({ scopes: access.value.scopes }),
      ...(isTokenText(idToken) && { idToken }),
    }
  }
}

function unfit(fault: string): Error {
  return invalidResponse(`the token endpoint's reply to a consent has ${fault}`)
}

export interface RefreshTokenToRevoke {
  readonly reached: ResolvedUpstream
  readonly client: OAuthClient
  readonly credential: string
  readonly refreshToken: Secret
}

/**
 * Revokes a refresh token (RFC 7009), where its upstream has an endpoint for it. With Google the whole grant of client
 * and user ends, access tokens included (docs/google.md §1.5). Throws what an upstream's refusal is.
 */
export function createRevokeRefreshToken({
  ask,
  clock,
  googleRevokeUrl,
}: RedeemCodeDeps & { readonly googleRevokeUrl: string }) {
  return async ({
    reached,
    client,
    credential,
    refreshToken,
  }: RefreshTokenToRevoke): Promise<'done' | 'already_dead' | 'no_endpoint'> => {
    const url = reached.upstream.name === 'google' ? googleRevokeUrl : reached.revocationUrl
    if (url === undefined) return 'no_endpoint'
    const { reply, secrets } = await ask({
      reached,
      url,
      client,
      credential,
      form: { token: refreshToken.reveal(), token_type_hint: 'refresh_token' },
      repeatable: 'always',
      deadlineMs: clock.steadyMs() + budgetMs,
    })
    if (reply.kind === 'answer' && reply.answer.status === 200) return 'done'
    if (reply.kind === 'answer' && readOAuthError(reply.answer)?.error === 'invalid_token')
      return 'already_dead'
    throw judgeFailure(reply, { now: clock.now(), secrets: [...secrets, refreshToken] }).error
  }
}
