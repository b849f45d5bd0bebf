import { BrokerError, isBrokerError } from '../../domain/broker-error.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { parseScope, type ScopeSet } from '../../domain/scopes.ts'
import { Secret } from '../../domain/secret.ts'
import {
  formRequest,
  type AccessToken,
  createSendBriefly,
  type SendBrieflyDeps,
  quoteError,
} from '../../google/api-request.ts'
import type { OwnIdentity } from '../../ports/own-identity.ts'
import { seconds, type EpochSeconds, type Seconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import { createRefreshingValue, type Freshness, type RefreshingDeps } from '../../domain/refreshing-value.ts'
import type { CryptoKey } from 'jose'
import { jwtBearerGrant, isServiceAccountEmail } from '../../domain/google.ts'
import {
  importAssertionKey,
  signAssertion,
  type ServiceAccountKey,
} from '../../google/service-account-key.ts'
import { isTokenText, parseAccessToken } from '../../oauth/token-response.ts'
import type { HttpAnswer, HttpResult } from '../../ports/http-client.ts'

interface OwnIdentityDeps extends SendBrieflyDeps {
  readonly source: IdentitySource
  /** Holds a token of cloud-platform of that source. */
  readonly acting: AccessToken
  readonly tokeninfoUrl: string
}

/**
 * The broker's own identity as something to mint from. Where a platform may give more than it is asked for, Google is
 * asked what it gave.
 */
export function createOwnIdentity({ source, acting, tokeninfoUrl, ...deps }: OwnIdentityDeps): OwnIdentity {
  const accessToken = async (scopes: ScopeSet) => {
    const { token: secret, lifetime } = await source.accessToken(scopes)
    if (source.respectsScopes) return { secret, lifetime }
    return { secret, lifetime, scopes: await askScopes(deps, tokeninfoUrl, secret) }
  }
  return {
    actingToken: (refused) => asUpstream(acting(refused)),
    accessToken: (scopes) => asUpstream(accessToken(scopes)),
    idToken: (audience) => asUpstream(source.idToken(audience)),
    serviceAccount: () => asUpstream(source.serviceAccount()),
  }
}

/** docs/google.md §1.5; never as a parameter of the address, which ends in logs. */
async function askScopes(deps: SendBrieflyDeps, url: string, token: Secret): Promise<ScopeSet> {
  const form = formRequest(url, {})
  const headers = { ...form.headers, authorization: `Bearer ${token.reveal()}` }
  const answer = requireAnswer(await createSendBriefly(deps)(() => ({ ...form, headers })))
  requireSuccess(answer, "Google's tokeninfo")
  const { scope } = parseJsonObject(answer.body) ?? {}
  const scopes = typeof scope === 'string' ? parseScope(scope) : undefined
  if (scopes === undefined) throw identityError("Google's tokeninfo names no scope of the token")
  return scopes
}

/** Here it is not the store that stands on this identity. */
async function asUpstream<T>(asking: Promise<T>): Promise<T> {
  try {
    return await asking
  } catch (error) {
    if (!isBrokerError(error) || error.code !== 'store_unavailable') throw error
    const { reason, retryAfter } = error
    throw new BrokerError('upstream_unavailable', { reason, retryAfter })
  }
}

interface CachedTokenDeps extends RefreshingDeps {
  readonly fetchToken: () => Promise<IdentityToken>
  readonly clock: Clock
}

/** A part of the token's life, at most so many seconds before its end. */
interface Margin {
  readonly most: Seconds
  readonly part: number
}

/** From here on one call at a time asks for the next token, and the others are given the one held. */
const due: Margin = { most: seconds(600), part: 1 / 2 }
/** From here on every call wants the next one; the one held is for when there is none to be had. */
const late: Margin = { most: seconds(300), part: 1 / 4 }
const dead: Margin = { most: seconds(60), part: 1 / 10 }
/** How long the others leave a refresh ahead to whoever began it; a failure is remembered for so long. */
const bounds = { turnMs: 5000, pauseMs: 2000, remembersFailure: true }
/** A younger one that Google refuses is not the reason: another would be refused too. */
const refusableAfterMs = 10_000

interface Held extends IdentityToken {
  readonly fetchedAtMs: number
  readonly fetchedAt: EpochSeconds
}

/**
 * Keeps one token and asks for the next one in time: what it gives is good for at least a minute or a tenth of its life.
 * A failure is remembered for 2 s.
 */
export function createCachedToken({ fetchToken, clock, sharesWork }: CachedTokenDeps): AccessToken {
  const read = async (): Promise<Held> => {
    const asked = { fetchedAtMs: clock.steadyMs(), fetchedAt: clock.now() }
    return { ...(await fetchToken()), ...asked }
  }
  const freshness = (ageMs: number, { fetchedAt, lifetime }: Held): Freshness => {
    // By whichever clock says that more time has passed.
    const left = lifetime - Math.max(ageMs / 1000, clock.now() - fetchedAt)
    const isWithin = ({ most, part }: Margin): boolean => left <= Math.min(most, lifetime * part)
    if (isWithin(dead)) return 'expired'
    if (isWithin(late)) return 'stale'
    return isWithin(due) ? 'due' : 'fresh'
  }
  // The next one is asked for before its own call and not after the answer: there is CPU then on every platform.
  const held = createRefreshingValue({ clock, sharesWork, ...bounds, read, freshness })

  return async (refused) => {
    const last = held.peek()
    const isRefused = last !== undefined && refused?.reveal() === last.token.reveal()
    if (isRefused && clock.steadyMs() - last.fetchedAtMs < refusableAfterMs) return last.token
    return (await (isRefused ? held.refresh() : held.current())).token
  }
}

interface ServiceAccountSourceDeps extends SendBrieflyDeps {
  readonly key: ServiceAccountKey
  readonly tokenUrl: string
}

/** The broker by its own service-account key (RFC 7523); the key is imported once. */
export function createServiceAccountSource(deps: ServiceAccountSourceDeps): IdentitySource {
  const { key, clock, tokenUrl } = deps
  let imported: CryptoKey | undefined

  const ask = async (claims: Readonly<Record<string, string>>): Promise<HttpAnswer> => {
    // Two requests may import at once: on Workers one must not await the other's promise.
    imported ??= await importAssertionKey(key.privateKey, () =>
      identityError(`the private key ${key.keyId} cannot be imported`),
    )
    const assertion = await signAssertion({ ...key, key: imported }, claims, clock.now())
    const form = { grant_type: jwtBearerGrant, assertion: assertion.reveal() }
    return requireAnswer(await createSendBriefly(deps)(() => formRequest(tokenUrl, form)))
  }

  return {
    respectsScopes: true,
    accessToken: async (scopes) => parseIdentityReply(await ask({ scope: scopes.join(' ') })),
    idToken: async (audience) => parseIdToken(await ask({ target_audience: audience })),
    serviceAccount: async () => key.clientEmail,
  }
}

function parseIdToken(answer: HttpAnswer): Secret {
  requireSuccess(answer)
  const { id_token: token } = parseJsonObject(answer.body) ?? {}
  if (!isTokenText(token)) throw identityError('the reply has no usable id_token')
  return new Secret(token)
}

interface MetadataSourceDeps extends SendBrieflyDeps {
  /** `HOST` or `HOST:PORT`; default `metadata.google.internal`. */
  readonly host?: string
}

const defaultHost = 'metadata.google.internal'
const account = '/computeMetadata/v1/instance/service-accounts/default'

/**
 * The service account that Cloud Run, Knative or Compute Engine runs us as; only for Node. Cloud Run and Knative give
 * the asked scopes and no more, Compute Engine always those that the machine was made with.
 */
export function createMetadataSource({ host = defaultHost, ...deps }: MetadataSourceDeps): IdentitySource {
  const ask = async (path: string): Promise<HttpAnswer> => {
    const url = `http://${host}${account}/${path}`
    const request = { method: 'GET', url, headers: { 'metadata-flavor': 'Google' } } as const
    const answer = requireAnswer(await createSendBriefly(deps)(() => request))
    // Whoever else answers at that address, a captive portal or another cloud, does not know this header.
    if (answer.header('metadata-flavor') !== 'Google')
      throw identityError(
        `${host} is not Google's metadata server; set DOWNSCOPE_GOOGLE_CREDENTIALS elsewhere`,
      )
    return answer
  }

  return {
    respectsScopes: false,
    accessToken: async (scopes) => {
      const query = scopes.length === 0 ? '' : `?scopes=${scopes.map(encodeURIComponent).join(',')}`
      return parseIdentityReply(await ask(`token${query}`))
    },
    idToken: async (audience) => {
      const answer = await ask(`identity?audience=${encodeURIComponent(audience)}&format=full`)
      requireSuccess(answer)
      const token = answer.body.trim()
      if (!isTokenText(token)) throw identityError('the metadata server gave no usable ID token')
      return new Secret(token)
    },
    serviceAccount: async () => {
      const answer = await ask('email')
      requireSuccess(answer)
      const email = answer.body.trim()
      if (!isServiceAccountEmail(email))
        throw identityError('the metadata server names no service account: none is attached')
      return email
    },
  }
}

/**
 * What Google is asked of who the broker is; nothing is kept. Each question settles within two seconds and throws
 * `store_unavailable`, or `target_unavailable` for what such an identity can never give.
 */
export interface IdentitySource {
  readonly accessToken: (scopes: readonly string[]) => Promise<IdentityToken>
  /** Of Google for that audience; not judged. */
  readonly idToken: (audience: string) => Promise<Secret>
  /** The e-mail address of the service account. */
  readonly serviceAccount: () => Promise<string>
  /** Whether a token has the asked scopes and no others, wherever this runs. */
  readonly respectsScopes: boolean
}

export interface IdentityToken {
  readonly token: Secret
  readonly lifetime: Seconds
}

/** What came of a request. Throws `store_unavailable` where nothing did. */
export function requireAnswer(result: HttpResult): HttpAnswer {
  if (result.kind === 'failure') throw identityError(result.detail)
  return result
}

/**
 * RFC 6749 §5.1. Throws `store_unavailable` that names `who` answered and the member that is wrong, and never its value.
 */
export function parseIdentityReply(answer: HttpAnswer, who?: string): IdentityToken {
  requireSuccess(answer, who)
  const reply = parseAccessToken(parseJsonObject(answer.body) ?? {})
  if (!reply.ok) throw identityError(`the reply has ${reply.fault}`)
  const { accessToken: token, expiresIn: lifetime } = reply.value
  if (lifetime === undefined) throw identityError('the reply has no expires_in')
  return { token, lifetime }
}

/** Throws `store_unavailable` that names `who` answered, and quotes its error. */
function requireSuccess({ status, body }: HttpAnswer, who = 'Google'): void {
  if (status === 200) return
  throw identityError(`${who} answered ${status}${quoteError(parseJsonObject(body) ?? {})}`)
}

/** `store_unavailable` that tells the broker's own identity from a caller's credential. */
export function identityError(reason: string): BrokerError {
  const text = `the broker's own identity towards Google: ${reason}`
  return new BrokerError('store_unavailable', { reason: text, retryAfter: seconds(2) })
}
