import { isMembers, parseJsonObject } from '../../domain/json-object.ts'
import { Secret } from '../../domain/secret.ts'
import { seconds, type EpochSeconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpAnswer, HttpClient } from '../../ports/http-client.ts'
import { identityError } from './identity-error.ts'
import { askForToken, isToken, quoteError, type IdentityToken } from './identity-reply.ts'

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
export async function generateAccessToken(
  http: HttpClient,
  clock: Clock,
  { scopes, ...as }: ActingFor & { readonly scopes: readonly string[] },
): Promise<IdentityToken> {
  const body = { scope: scopes, lifetime: `${lifetimeAsked}s` }
  return parseReply(await ask(http, as, { operation: 'generateAccessToken', body }), clock.now())
}

/** Likewise, an ID token of the account for an audience; not judged. */
export async function generateIdToken(
  http: HttpClient,
  { audience, ...as }: ActingFor & { readonly audience: string },
): Promise<Secret> {
  const answer = await ask(http, as, { operation: 'generateIdToken', body: { audience, includeEmail: true } })
  const { token } = parseJsonObject(answer.body) ?? {}
  if (!isToken(token)) throw identityError('the reply to generateIdToken has no usable token')
  return new Secret(token)
}

interface Wish {
  readonly operation: string
  readonly body: object
}

async function ask(
  http: HttpClient,
  { token, serviceAccount, iamCredentialsUrl }: ActingFor,
  { operation, body }: Wish,
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
function refusal({ status, body }: HttpAnswer, wish: string): Error {
  const { error } = parseJsonObject(body) ?? {}
  const { status: word, message } = isMembers(error) ? error : {}
  const quoted = quoteError({ error: word, error_description: message })
  const hint =
    status === 403 ? '; the federated principal needs roles/iam.workloadIdentityUser on that account' : ''
  return identityError(`Google's IAM Credentials answered ${status} to ${wish}${quoted}${hint}`)
}
