import type { CredentialSummary } from '../domain/credential.ts'
import { grantedCredential } from '../domain/grant.ts'
import type { RefreshingDeps } from '../domain/refreshing-value.ts'
import type { Upstream } from '../domain/upstream.ts'
import { createResolveUpstream } from '../oauth/resolve-upstream.ts'
import { createSendWithRetry, type SendWithRetryDeps } from '../oauth/send-with-retry.ts'
import { createRequestToken } from '../oauth/token-endpoint.ts'
import { judgeFailure, readOAuthError } from '../oauth/upstream-failure.ts'
import type { Log } from '../ports/log.ts'
import type { Credentials } from '../records/credentials.ts'

export interface ProveClientDeps extends SendWithRetryDeps, Pick<RefreshingDeps, 'sharesWork'> {
  readonly log: Log
  readonly credentials: Pick<Credentials, 'openSecret'>
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  readonly google: { readonly oauthTokenUrl: string }
}

export type ProveClient = (credential: CredentialSummary, version: string) => Promise<void>

/** RFC 6749 §5.2, then as Google, GitHub and Slack have it. */
const refusals: ReadonlySet<string> = new Set([
  'invalid_client',
  'unauthorized_client',
  'deleted_client',
  'disabled_client',
  'incorrect_client_credentials',
  'bad_client_secret',
  'invalid_client_id',
])
const budgetMs = 5_000

/**
 * Shows that an upstream takes a version of an `oauth_client`: a code that nobody gave out is refused only after the client
 * was (RFC 6749 §4.1.3), and uses nothing up. Throws what the refusal of a client is, and `upstream_unavailable`.
 */
export function createProveClient(deps: ProveClientDeps): ProveClient {
  const { clock, credentials } = deps
  const ask = createRequestToken({ ...deps, ask: createSendWithRetry(deps) })
  const reach = createResolveUpstream({ ...deps, tokenUrl: deps.google.oauthTokenUrl })

  return async (credential, version) => {
    const { name } = credential
    const { secret } = await credentials.openSecret(name, version)
    if (secret.kind !== 'oauth_client') return
    const { reply, secrets } = await ask({
      reached: await reach(grantedCredential(credential)),
      client: secret.client,
      credential: name,
      form: {
        grant_type: 'authorization_code',
        code: 'of-nobody',
        redirect_uri: 'https://downscope.invalid/',
      },
      repeatable: 'always',
      deadlineMs: clock.steadyMs() + budgetMs,
    })
    const told = reply.kind === 'answer' ? readOAuthError(reply.answer) : undefined
    if (told !== undefined && !refusals.has(told.error)) return
    throw judgeFailure(reply, { now: clock.now(), secrets }).error
  }
}
