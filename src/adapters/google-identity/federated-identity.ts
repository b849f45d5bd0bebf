import { BrokerError } from '../../domain/broker-error.ts'
import { cloudPlatformScope } from '../../domain/google.ts'
import { parseJsonObject, type Members } from '../../domain/json.ts'
import { Secret } from '../../domain/secret.ts'
import { seconds, until, type EpochSeconds } from '../../domain/time.ts'
import {
  jsonRequest,
  quoteGoogleError,
  createSendBriefly,
  type SendBrieflyDeps,
} from '../../google/api-request.ts'
import { iamCredentialsUrl, readGeneratedToken, type IamOperation } from '../../google/iam-credentials.ts'
import { federatedExchange } from '../../google/sts.ts'
import { isTokenText } from '../../oauth/token-response.ts'
import type { HttpAnswer } from '../../ports/http-client.ts'
import {
  identityError,
  parseIdentityReply,
  requireAnswer,
  type IdentitySource,
  type IdentityToken,
} from './own-identity.ts'

export interface FederatedSourceDeps extends SendBrieflyDeps {
  readonly signAssertion: () => Promise<Secret>
  /** The pool provider's full resource name: `//iam.googleapis.com/projects/…`. */
  readonly provider: string
  /** Whom to impersonate; absent, the federated principal itself is used. */
  readonly serviceAccount: string | undefined
  readonly stsUrl: string
  /** What comes before `/v1/…`. */
  readonly iamCredentialsUrl: string
}

/**
 * The broker without a key of Google's: its own assertion, exchanged at Google's STS (RFC 8693, workload identity
 * federation), and with that, where one is named, a service account.
 */
export function createFederatedSource(deps: FederatedSourceDeps): IdentitySource {
  const { signAssertion, clock, serviceAccount, stsUrl, provider, iamCredentialsUrl: baseUrl } = deps

  /** The STS, and what goes on with its token, in one budget that begins after signing. */
  const begin = async () => {
    const assertion = await signAssertion()
    const send = createSendBriefly(deps)
    const exchangeFor = async (scope: string): Promise<IdentityToken> => {
      const request = federatedExchange({ stsUrl, provider, assertion, scope })
      return parseIdentityReply(requireAnswer(await send(() => request)), "Google's STS")
    }
    const actAs = async (account: string, operation: IamOperation, json: object): Promise<Members> => {
      const { token } = await exchangeFor(cloudPlatformScope)
      const request = jsonRequest({ url: iamCredentialsUrl(baseUrl, account, operation), token, json })
      const answer = requireAnswer(await send(() => request))
      if (answer.status !== 200) throw refusal(answer, `${operation} for ${account}`)
      return parseJsonObject(answer.body) ?? {}
    }
    return { exchangeFor, actAs }
  }

  return {
    respectsScopes: true,
    accessToken: async (scopes) => {
      const { exchangeFor, actAs } = await begin()
      if (serviceAccount === undefined) return await exchangeFor(scopes.join(' '))
      const asked = { scope: scopes, lifetime: `${lifetimeAsked}s` }
      return judgeGenerated(await actAs(serviceAccount, 'generateAccessToken', asked), clock.now())
    },
    idToken: async (audience) => {
      const account = requireAccount(serviceAccount)
      const { actAs } = await begin()
      const { token } = await actAs(account, 'generateIdToken', { audience, includeEmail: true })
      if (!isTokenText(token)) throw identityError('the reply to generateIdToken has no usable token')
      return new Secret(token)
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

/** The longest without an organisation policy that allows more (docs/google.md §3.1). */
const lifetimeAsked = 3600

function judgeGenerated(members: Members, now: EpochSeconds): IdentityToken {
  const generated = readGeneratedToken(members)
  if (!generated.ok) throw identityError(`the reply to generateAccessToken has ${generated.fault}`)
  const { token, endsAt } = generated.value
  // By a clock of ours that is behind it would seem to live longer than was asked for.
  const lifetime = Math.min(until(endsAt, now), lifetimeAsked)
  if (!(lifetime >= 1))
    throw identityError(
      "the reply to generateAccessToken has an expireTime that is past by the broker's clock",
    )
  return { token, lifetime: seconds(lifetime) }
}

function refusal({ status, body }: HttpAnswer, operation: string): Error {
  const hint =
    status === 403 ? '; the federated principal needs roles/iam.workloadIdentityUser on that account' : ''
  return identityError(
    `Google's IAM Credentials answered ${status} to ${operation}${quoteGoogleError(body)}${hint}`,
  )
}
