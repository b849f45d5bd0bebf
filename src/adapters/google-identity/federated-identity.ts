import type { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient } from '../../ports/http-client.ts'
import { createHeldToken, type GoogleIdentity } from './held-token.ts'
import { askForToken, parseIdentityReply, type IdentityToken } from './identity-reply.ts'
import { generateAccessToken } from './impersonation.ts'

export interface FederatedIdentityDeps {
  readonly signAssertion: () => Promise<Secret>
  /** The pool provider's full resource name: `//iam.googleapis.com/projects/…`. */
  readonly provider: string
  /** Whom to impersonate; absent, the federated principal itself is used. */
  readonly serviceAccount: string | undefined
  readonly http: HttpClient
  readonly clock: Clock
  readonly stsUrl: string
  /** What comes before `/v1/…`. */
  readonly iamCredentialsUrl: string
  readonly scopes: readonly string[]
  /** Whether a request may await what another one began: never on Workers. */
  readonly sharesWork: boolean
}

const tokenType = 'urn:ietf:params:oauth:token-type'
/** docs/google.md §3.1: what IAM Credentials asks of a token that impersonates. */
const impersonatingScope = 'https://www.googleapis.com/auth/cloud-platform'
/** For all attempts of both calls together: what a `GoogleIdentity` promises. */
const budgetMs = 2000
/** Less is no attempt. */
const attemptMsMin = 50

/**
 * The broker's own token without a key of Google's: its own assertion, exchanged at Google's STS (RFC 8693, workload
 * identity federation), and with that, where one is named, the token of a service account.
 */
export function createFederatedIdentity(deps: FederatedIdentityDeps): GoogleIdentity {
  const { signAssertion, http, clock, serviceAccount, iamCredentialsUrl, scopes } = deps

  const fetchToken = async (): Promise<IdentityToken> => {
    const assertion = await signAssertion()
    const bounded = withinBudget(http, clock)
    if (serviceAccount === undefined)
      return await exchange(bounded, deps, { assertion, scope: scopes.join(' ') })
    const { token } = await exchange(bounded, deps, { assertion, scope: impersonatingScope })
    return await generateAccessToken(bounded, clock, { token, serviceAccount, iamCredentialsUrl, scopes })
  }
  return createHeldToken({ ...deps, fetchToken })
}

interface Exchange {
  readonly assertion: Secret
  readonly scope: string
}

/** docs/google.md §2.1. */
async function exchange(
  http: HttpClient,
  { stsUrl, provider }: FederatedIdentityDeps,
  { assertion, scope }: Exchange,
): Promise<IdentityToken> {
  const answer = await askForToken(http, {
    method: 'POST',
    url: stsUrl,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: provider,
      scope,
      requested_token_type: `${tokenType}:access_token`,
      subject_token: assertion.reveal(),
      subject_token_type: `${tokenType}:jwt`,
    }).toString(),
  })
  return parseIdentityReply(answer, "Google's STS")
}

/** The same client for as long as the budget lasts, from now on. */
function withinBudget(http: HttpClient, clock: Clock): HttpClient {
  const endMs = clock.steadyMs() + budgetMs
  return async (request) => {
    const leftMs = Math.floor(endMs - clock.steadyMs())
    if (leftMs >= attemptMsMin)
      return await http({ ...request, timeoutMs: Math.min(request.timeoutMs, leftMs) })
    const { origin, pathname } = new URL(request.url)
    const detail = `${request.method} ${origin}${pathname}: what came before took all of ${budgetMs} ms`
    return { kind: 'failure', cause: 'timeout', detail }
  }
}
