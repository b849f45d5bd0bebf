import type { GrantedCredential } from '../domain/grant.ts'
import type { Secret } from '../domain/secret.ts'
import type { Clock } from '../ports/clock.ts'
import type { Credentials } from '../records/credentials.ts'
import type { AskTokenEndpoint } from './ask-token-endpoint.ts'
import type { ReachedUpstream } from './reach-upstream.ts'
import { readOAuthError } from './read-oauth-error.ts'
import { judgeFailure } from './upstream-failure.ts'

const budgetMs = 5_000

export interface RevokeRefreshTokenDeps {
  readonly ask: AskTokenEndpoint
  readonly reachUpstream: (credential: GrantedCredential) => Promise<ReachedUpstream>
  readonly credentials: Pick<Credentials, 'openWithdrawn'>
  readonly clock: Clock
  readonly googleRevokeUrl: string
}

/**
 * Revokes the refresh token of a version at its upstream (RFC 7009), if that has an endpoint for it. With Google the
 * whole grant of client and user ends, access tokens included (docs/google.md §1.5). Throws `upstream_unavailable` or
 * `target_unavailable`.
 */
export function createRevokeRefreshToken(
  deps: RevokeRefreshTokenDeps,
): (credential: GrantedCredential) => Promise<'done' | 'already_dead' | 'no_endpoint'> {
  return async (credential) => {
    const { name, version } = credential
    const reached = await deps.reachUpstream(credential)
    const url = reached.upstream.name === 'google' ? deps.googleRevokeUrl : reached.revocationUrl
    const secret = await deps.credentials.openWithdrawn(name, version)
    if (url === undefined || secret.kind !== 'refresh_token') return 'no_endpoint'
    const { reply, secrets } = await deps.ask({
      reached,
      url,
      client: secret.client,
      credential: name,
      form: { token: secret.refreshToken.reveal(), token_type_hint: 'refresh_token' },
      repeatable: 'always',
      deadlineMs: deps.clock.steadyMs() + budgetMs,
    })
    if (reply.kind === 'answer' && reply.answer.status === 200) return 'done'
    if (reply.kind === 'answer' && readOAuthError(reply.answer)?.error === 'invalid_token')
      return 'already_dead'
    const sent: readonly Secret[] = [...secrets, secret.refreshToken]
    throw judgeFailure(reply, { now: deps.clock.now(), secrets: sent }).error
  }
}
