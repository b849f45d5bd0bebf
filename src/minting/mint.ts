import { unusableCredential, BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { until, later, seconds } from '../domain/time.ts'
import type { Mint, MintBy, MintedToken } from '../domain/token.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { RefreshingDeps } from '../domain/refreshing-value.ts'
import type { ImportAesGcmKey } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import type { Credentials } from '../records/credentials.ts'
import type { RefreshLeases } from '../records/refresh-leases.ts'
import {
  createIamCredentials,
  createImpersonatorToken,
  type ImpersonatorTokenDeps,
  type ShareToken,
} from './impersonator-token.ts'
import { createGetIntermediary, createExchangeBoundary, type ExchangeBoundary } from '../google/sts.ts'
import { createRequestToken } from '../oauth/token-endpoint.ts'
import { createSendWithRetry, type SendWithRetry, type SendWithRetryDeps } from '../oauth/send-with-retry.ts'
import { createMintFromClientCredentials } from './client-credentials.ts'
import { createConfirmScopes, type ConfirmedToken, type VerifyAccessToken } from './confirm-scopes.ts'
import { createResolveUpstream } from '../oauth/resolve-upstream.ts'
import { createMintFromRefreshToken } from './refresh-token.ts'
import { createMintSealed, type IntermediaryTokens } from './sealed-token.ts'
import { createMintFromServiceAccountKey } from './service-account-key.ts'
import { invalidResponse } from '../oauth/upstream-failure.ts'
import { createMintFromBrokerIdentity } from './broker-identity.ts'
import { createExchangeAssertion } from './exchange-assertion.ts'
import { createMintByImpersonation } from './impersonation.ts'
import { createRecordHealth, type RecordHealthDeps } from './record-health.ts'
import { type SignDeps, createMintForUser, createSignAs } from './sign.ts'
import { cloudPlatformScope } from '../domain/google.ts'

/** Until the last upstream's answer, the wait for a refresh lease included; it lives 10 s (`src/records/lease.ts`). */
const budgetMs = 7000

export interface MintDeps extends SendWithRetryDeps, SignDeps, Pick<RefreshingDeps, 'sharesWork'> {
  readonly importAesGcmKey: ImportAesGcmKey
  readonly log: Log
  readonly background: Background
  readonly credentials: Pick<
    Credentials,
    'find' | 'openSecret' | 'openWithdrawn' | 'noteHealth' | 'noteNarrowing'
  >
  readonly verifyAccessToken: VerifyAccessToken
  /** Is shown what each token of a refresh was found to carry. */
  readonly showConfirmed?: (confirmed: ConfirmedToken) => void
  readonly noteLeaseWait?: () => void
  readonly refreshLeases: RefreshLeases
  readonly endpoints: MintEndpoints
  readonly shareToken: ShareToken
  readonly intermediaries: IntermediaryTokens
  /** Absent when the broker has no Google identity. */
  readonly ownIdentity?: OwnIdentity
  /** The upstreams besides Google, by the policy in force. Throws `policy_unavailable`. */
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
}

/** Google's addresses; with those of the policy's upstreams the only ones that are ever called (P29). */
export interface MintEndpoints {
  /** What comes before `/v1/…`. */
  readonly iamCredentialsUrl: string
  readonly tokenUrl: string
  readonly stsUrl: string
}

/**
 * A fresh token from the upstream that carries no more than the grant allows. Throws `upstream_unavailable`,
 * `upstream_nonsense`, `target_unavailable`, `scope_refused`, `lease_busy`, `store_unavailable` or
 * `key_ring_unavailable`; none of them holds a secret.
 */
export function createMint(deps: MintDeps): Mint {
  const ask = createSendWithRetry(deps)
  const { tokenUrl, stsUrl } = deps.endpoints
  const mintFrom = (grant: Grant, deadlineMs: number) =>
    withStandby(deps.log, grant, (drawing) => mintSource(drawing, deadlineMs))
  const { byImpersonation, fromBrokerIdentity } = createKeyless({ ...deps, ...deps.endpoints, ask, mintFrom })
  const fromServiceAccountKey = createMintFromServiceAccountKey({ ...deps, ask, tokenUrl })
  const reachUpstream = createResolveUpstream({ ...deps, tokenUrl })
  const askTokenEndpoint = createRequestToken({ ...deps, ask })
  const confirmScopes = createConfirmScopes({ ...deps, ask: askTokenEndpoint })
  const fromRefreshToken = createMintFromRefreshToken({ ...deps, ask: askTokenEndpoint, confirmScopes })
  const fromClientCredentials = createMintFromClientCredentials({
    ...deps,
    ask: askTokenEndpoint,
    confirmScopes,
  })
  const handOutApiKey = createReturnApiKey(deps)
  const putBoundary = createExchangeBoundary({ ...deps, ask, stsUrl })

  const mintSource = async (grant: Grant, deadlineMs: number): Promise<MintedToken> => {
    switch (grant.credential.kind) {
      case 'service_account_key':
        return fromServiceAccountKey(grant, deadlineMs)
      case 'refresh_token':
        return fromRefreshToken({ grant, reached: await reachUpstream(grant.credential), deadlineMs })
      case 'api_key':
        return handOutApiKey(grant)
      case 'oauth_client':
        throw unusableCredential(grant.credential.name, 'is an OAuth client for connect, and gives no token')
      case 'client_credentials':
        return fromClientCredentials({ grant, reached: await reachUpstream(grant.credential), deadlineMs })
      case 'impersonation':
        return byImpersonation(grant, deadlineMs)
      case 'broker_identity':
        return fromBrokerIdentity(grant, deadlineMs)
    }
  }

  const mintUnbounded = async (grant: Grant, deadlineMs: number): Promise<MintedToken> => {
    const token = await mintFrom(grant, deadlineMs)
    refuseLongerLife(grant, token)
    return token
  }
  const exchangeBounded = createMintBounded({ ...deps, mintUnbounded, putBoundary })
  const mintBounded = createMintSealed({
    ...deps,
    mintUnbounded,
    getIntermediary: createGetIntermediary({ ...deps, ask, stsUrl }),
    exchangeBounded,
  })

  return async (grant, requestDeadlineMs = Infinity) => {
    const deadlineMs = Math.min(deps.clock.steadyMs() + budgetMs, requestDeadlineMs)
    const { boundary = [] } = grant
    return boundary.length === 0 ? mintUnbounded(grant, deadlineMs) : mintBounded(grant, deadlineMs)
  }
}

function refuseLongerLife({ lifetime }: Grant, { issuedAt, expiresAt }: MintedToken): void {
  if (lifetime !== undefined && until(expiresAt, issuedAt) > lifetime)
    throw invalidResponse(
      `the upstream's token lives ${until(expiresAt, issuedAt)} s, and ${lifetime} s are allowed`,
    )
}

/**
 * Mints, and where the active version is refused once more from the version that stands by: after a rotation some of
 * the upstream's servers may not know the new secret yet (P28). When both fail it throws what the active one did.
 */
async function withStandby(
  log: Log,
  grant: Grant,
  mint: (grant: Grant) => Promise<MintedToken>,
): Promise<MintedToken> {
  const former = drawingOnStandby(grant)
  if (former === undefined) return mint(grant)
  try {
    return await mint(grant)
  } catch (error) {
    if (!isRefusal(error)) throw error
    const token = await orThrow(error, mint(former))
    const { name, version, standby } = grant.credential
    log('warn', 'the active version was refused; the one that stands by minted', {
      credential: name,
      version,
      standby,
      reason: error.reason,
    })
    return token
  }
}

function drawingOnStandby(grant: Grant): Grant | undefined {
  const { standby, ...credential } = grant.credential
  return standby === undefined ? undefined : { ...grant, credential: { ...credential, version: standby } }
}

/** Of the credential, not of the network: an outage is not asked about twice (P21). */
function isRefusal(error: unknown): error is BrokerError {
  return isBrokerError(error) && error.code === 'target_unavailable'
}

async function orThrow(first: BrokerError, second: Promise<MintedToken>): Promise<MintedToken> {
  try {
    return await second
  } catch (error) {
    throw isBrokerError(error) ? first : error
  }
}

export interface KeylessDeps extends RecordHealthDeps, ImpersonatorTokenDeps, SignDeps {
  readonly ask: SendWithRetry
  readonly credentials: Pick<Credentials, 'openSecret' | 'noteHealth'>
  readonly iamCredentialsUrl: string
  readonly tokenUrl: string
}

export interface Keyless {
  readonly byImpersonation: MintBy
  readonly fromBrokerIdentity: MintBy
}

/** Minting for which no key is stored: whoever acts shows a token, and Google does the rest. */
export function createKeyless(deps: KeylessDeps): Keyless {
  const noteHealth = createRecordHealth(deps)
  const actingToken = createImpersonatorToken(deps)
  const askIamCredentials = createIamCredentials({ ...deps, noteHealth, actingToken })
  const exchangeAssertion = createExchangeAssertion({ ...deps, noteHealth })
  const mintForUser = createMintForUser({ ...deps, askIamCredentials, exchangeAssertion })
  const signAs = createSignAs({ ...deps, askIamCredentials })
  return {
    byImpersonation: createMintByImpersonation({
      ...deps,
      noteHealth,
      askIamCredentials,
      mintForUser,
      signAs,
    }),
    fromBrokerIdentity: createMintFromBrokerIdentity({ ...deps, noteHealth, mintForUser, signAs }),
  }
}

/** When to ask again: a key has no end of its own, and one that was replaced should not be used for long. */
const askAgainAfter = seconds(3600)

export interface ApiKeyDeps {
  readonly credentials: Pick<Credentials, 'openSecret'>
  readonly clock: Clock
}

/**
 * The stored key itself, as what it is: it carries no scope, and its end is when to ask again. Nothing is asked
 * upstream. Throws what `openSecret` throws, and `target_unavailable` when anything but a key was granted.
 */
function createReturnApiKey({ credentials, clock }: ApiKeyDeps): (grant: Grant) => Promise<MintedToken> {
  return async ({ credential: { name, version }, tokenType }) => {
    if (tokenType !== 'api_key')
      throw new BrokerError('target_unavailable', {
        reason: `credential ${name}: an API key gives no ${tokenType}`,
      })
    const { secret } = await credentials.openSecret(name, version)
    if (secret.kind !== 'api_key') throw unusableCredential(name, 'holds no API key')
    const issuedAt = clock.now()
    return {
      secret: secret.key,
      tokenType,
      scopes: [],
      drawnFrom: [version],
      issuedAt,
      expiresAt: later(issuedAt, askAgainAfter),
    }
  }
}

interface BoundedTokenDeps {
  readonly shareToken: ShareToken
  readonly mintUnbounded: MintBy
  readonly putBoundary: ExchangeBoundary
}

/**
 * A token with the grant's boundary, from the token without one: that is shared and kept with its own end like any
 * that is issued, so that many boundaries of one credential cost one mint. It may have been revoked since it was minted:
 * where the STS does not take a kept one, a new one is minted once.
 */
function createMintBounded({ shareToken, mintUnbounded, putBoundary }: BoundedTokenDeps): MintBy {
  return async (grant, deadlineMs) => {
    const { boundary = [], bounding, ...granted } = grant
    // What nothing but the boundary narrows is asked for only where every role was proved (`chooseBounding`).
    const raw = bounding?.source === 'cloud-platform' ? { ...granted, scopes: [cloudPlatformScope] } : granted
    let isKept = true
    const mint = (): Promise<MintedToken> => {
      isKept = false
      return mintUnbounded(raw, deadlineMs)
    }
    const task = { grant, boundary, deadlineMs }
    const bounded = await putBoundary({ ...task, source: await shareToken(raw, mint, deadlineMs) })
    if (bounded.kind === 'bounded') return bounded.token
    if (!isKept) throw bounded.error
    const again = await putBoundary({ ...task, source: await mint() })
    if (again.kind === 'bounded') return again.token
    throw again.error
  }
}
