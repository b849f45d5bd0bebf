import { BrokerError } from '../../domain/broker-error.ts'
import { cloudPlatformScope } from '../../domain/google.ts'
import type { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient } from '../../ports/http-client.ts'
import { askForToken, parseIdentityReply, type IdentityToken } from './identity-reply.ts'
import type { IdentitySource } from './identity-source.ts'
import { generateAccessToken, generateIdToken } from './iam-credentials.ts'
import { withinBudget } from './within-budget.ts'

export interface FederatedSourceDeps {
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
}

const tokenType = 'urn:ietf:params:oauth:token-type'

/**
 * The broker without a key of Google's: its own assertion, exchanged at Google's STS (RFC 8693, workload identity
 * federation), and with that, where one is named, a service account.
 */
export function createFederatedSource(deps: FederatedSourceDeps): IdentitySource {
  const { signAssertion, clock, serviceAccount, iamCredentialsUrl } = deps

  /** The STS, and what goes on with its token, in one budget that begins after signing. */
  const begin = async () => {
    const assertion = await signAssertion()
    const http = withinBudget(deps.http, clock)
    return { http, exchangeFor: (scope: string) => exchange(http, deps, { assertion, scope }) }
  }

  return {
    heedsScopes: true,
    accessToken: async (scopes) => {
      const { http, exchangeFor } = await begin()
      if (serviceAccount === undefined) return await exchangeFor(scopes.join(' '))
      const { token } = await exchangeFor(cloudPlatformScope)
      return await generateAccessToken(http, clock, { token, serviceAccount, iamCredentialsUrl, scopes })
    },
    idToken: async (audience) => {
      const account = requireAccount(serviceAccount)
      const { http, exchangeFor } = await begin()
      const { token } = await exchangeFor(cloudPlatformScope)
      return await generateIdToken(http, { token, serviceAccount: account, iamCredentialsUrl, audience })
    },
    serviceAccount: async () => requireAccount(serviceAccount),
  }
}

function requireAccount(serviceAccount: string | undefined): string {
  if (serviceAccount !== undefined) return serviceAccount
  throw new BrokerError('target_unavailable', {
    reason:
      "the broker's own identity towards Google is a federated principal and no service account: " +
      'set DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT',
  })
}

interface Exchange {
  readonly assertion: Secret
  readonly scope: string
}

/** docs/google.md §2.1. */
async function exchange(
  http: HttpClient,
  { stsUrl, provider }: FederatedSourceDeps,
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
