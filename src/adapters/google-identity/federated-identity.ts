import { BrokerError } from '../../domain/broker-error.ts'
import { cloudPlatformScope } from '../../domain/google.ts'
import { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient, HttpAnswer } from '../../ports/http-client.ts'
import {
  askForToken,
  parseIdentityReply,
  type IdentityToken,
  type IdentitySource,
  identityError,
  isToken,
  quoteError,
} from './identity-source.ts'
import { readGoogleError } from '../../google/error-body.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { seconds, type EpochSeconds } from '../../domain/time.ts'

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
    respectsScopes: true,
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

export interface ActingFor {
  /** Of who impersonates. */
  readonly token: Secret
  /** An e-mail address. */
  readonly serviceAccount: string
  /** What comes before `/v1/…`. */
  readonly iamCredentialsUrl: string
}

/** The longest without an organisation policy that allows more (docs/google.md §3.1). */
const lifetimeAsked = 3600

/** docs/google.md §3.1: a token of a service account, of the asked scopes. Throws `store_unavailable`. */
async function generateAccessToken(
  http: HttpClient,
  clock: Clock,
  { scopes, ...as }: ActingFor & { readonly scopes: readonly string[] },
): Promise<IdentityToken> {
  const body = { scope: scopes, lifetime: `${lifetimeAsked}s` }
  return parseReply(await ask(http, as, { operation: 'generateAccessToken', body }), clock.now())
}

/** Likewise, an ID token of the account for an audience; not judged. */
async function generateIdToken(
  http: HttpClient,
  { audience, ...as }: ActingFor & { readonly audience: string },
): Promise<Secret> {
  const answer = await ask(http, as, { operation: 'generateIdToken', body: { audience, includeEmail: true } })
  const { token } = parseJsonObject(answer.body) ?? {}
  if (!isToken(token)) throw identityError('the reply to generateIdToken has no usable token')
  return new Secret(token)
}

interface Operation {
  readonly operation: string
  readonly body: object
}

async function ask(
  http: HttpClient,
  { token, serviceAccount, iamCredentialsUrl }: ActingFor,
  { operation, body }: Operation,
): Promise<HttpAnswer> {
  const answer = await askForToken(http, {
    method: 'POST',
    // The project must be the wildcard.
    url: `${iamCredentialsUrl}/v1/projects/-/serviceAccounts/${serviceAccount}:${operation}`,
    headers: {
      authorization: `Bearer ${token.reveal()}`,
      'content-type': 'application/json',
      accept: 'application/json',
    },
    body: JSON.stringify(body),
  })
  if (answer.status !== 200) throw refusal(answer, `${operation} for ${serviceAccount}`)
  return answer
}

/** Every member by name; a fault names the member and never its value. */
function parseReply({ body }: HttpAnswer, now: EpochSeconds): IdentityToken {
  const { accessToken: token, expireTime } = parseJsonObject(body) ?? {}
  if (!isToken(token)) throw identityError('the reply to generateAccessToken has no usable accessToken')
  if (typeof expireTime !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/.test(expireTime))
    throw identityError('the reply to generateAccessToken has no expireTime of RFC 3339 in UTC')
  // By a clock of ours that is behind it would seem to live longer than was asked for.
  const lifetime = Math.min(Math.floor(Date.parse(expireTime) / 1000) - now, lifetimeAsked)
  if (!(lifetime >= 1))
    throw identityError(
      "the reply to generateAccessToken has an expireTime that is past by the broker's clock",
    )
  return { token: new Secret(token), lifetime: seconds(lifetime) }
}

/** Google's JSON services nest their error. The permission is not quoted: to a guard against tokens it is a long word. */
function refusal({ status, body }: HttpAnswer, operation: string): Error {
  const { status: word, message } = readGoogleError(body) ?? {}
  const quoted = quoteError({ error: word, error_description: message })
  const hint =
    status === 403 ? '; the federated principal needs roles/iam.workloadIdentityUser on that account' : ''
  return identityError(`Google's IAM Credentials answered ${status} to ${operation}${quoted}${hint}`)
}

/** For all calls of one question together: what an `IdentitySource` promises. */
const budgetMs = 2000
/** Less is no attempt. */
const attemptMsMin = 50

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
