import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { until } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { Log } from '../ports/log.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import type { Credentials } from '../records/credentials.ts'
import type { RefreshTurns } from '../records/refresh-turns.ts'
import type { ShareToken } from './acting-token.ts'
import { createPutBoundary } from './access-boundary.ts'
import { createHandOutApiKey } from './api-key.ts'
import { createAskTokenEndpoint } from './ask-token-endpoint.ts'
import { createAskUpstream } from './ask-upstream.ts'
import { createMintBounded } from './bounded-token.ts'
import { createKeyless } from './keyless.ts'
import { createMintFromClientCredentials } from './client-credentials.ts'
import { createReachUpstream } from './reach-upstream.ts'
import { createMintFromRefreshToken } from './refresh-token.ts'
import { createMintFromServiceAccountKey } from './service-account-key.ts'
import { nonsense } from './upstream-failure.ts'
import { withStandby } from './with-standby.ts'

/** Until the last upstream's answer, the wait for a turn included; a lease lives 10 s (`src/records/lease.ts`). */
const budgetMs = 5000

export interface MintDeps {
  readonly http: HttpClient
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly background: Background
  readonly credentials: Pick<Credentials, 'openSecret' | 'noteHealth'>
  readonly refreshTurns: RefreshTurns
  readonly endpoints: MintEndpoints
  readonly shareToken: ShareToken
  /** Absent where the broker is nobody to Google. */
  readonly ownIdentity?: OwnIdentity
  /** The upstreams besides Google, by the policy in force. Throws `policy_unavailable`. */
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  /** False on Workers. */
  readonly sharesWork: boolean
}

/** Google's addresses; with those of the policy's upstreams the only ones that are ever called (P29). */
export interface MintEndpoints {
  /** What comes before `/v1/…`. */
  readonly iamCredentialsUrl: string
  readonly tokenUrl: string
  readonly stsUrl: string
}

export type Mint = (grant: Grant) => Promise<MintedToken>

/**
 * A fresh token from the upstream that carries no more than the grant allows. Throws `upstream_unavailable`,
 * `upstream_nonsense`, `target_unavailable`, `scope_refused`, `lease_busy`, `store_unavailable` or
 * `key_ring_unavailable`; none of them holds a secret.
 */
export function createMint(deps: MintDeps): Mint {
  const ask = createAskUpstream(deps)
  const { tokenUrl, stsUrl } = deps.endpoints
  const mintFrom = (grant: Grant, deadlineMs: number) =>
    withStandby(deps.log, grant, (drawing) => mintSource(drawing, deadlineMs))
  const { byImpersonation, fromBrokerIdentity } = createKeyless({ ...deps, ...deps.endpoints, ask, mintFrom })
  const fromServiceAccountKey = createMintFromServiceAccountKey({ ...deps, ask, tokenUrl })
  const reachUpstream = createReachUpstream({ ...deps, tokenUrl })
  const askTokenEndpoint = createAskTokenEndpoint({ ...deps, ask })
  const fromRefreshToken = createMintFromRefreshToken({ ...deps, ask: askTokenEndpoint })
  const fromClientCredentials = createMintFromClientCredentials({ ...deps, ask: askTokenEndpoint })
  const handOutApiKey = createHandOutApiKey(deps)
  const putBoundary = createPutBoundary({ ...deps, ask, stsUrl })

  const mintSource = async (grant: Grant, deadlineMs: number): Promise<MintedToken> => {
    switch (grant.credential.kind) {
      case 'service_account_key':
        return fromServiceAccountKey(grant, deadlineMs)
      case 'refresh_token':
        return fromRefreshToken({ grant, reached: await reachUpstream(grant.credential), deadlineMs })
      case 'api_key':
        return handOutApiKey(grant)
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
  const mintBounded = createMintBounded({ ...deps, mintUnbounded, putBoundary })

  return async (grant) => {
    refuseWhatOnlyGoogleHas(grant)
    const deadlineMs = deps.clock.steadyMs() + budgetMs
    const { boundary = [] } = grant
    return boundary.length === 0 ? mintUnbounded(grant, deadlineMs) : mintBounded(grant, deadlineMs)
  }
}

function refuseWhatOnlyGoogleHas({ credential: { name, kind, upstream }, boundary = [] }: Grant): void {
  if (upstream === 'google') return
  const only = boundary.length > 0 ? 'access boundaries' : kind
  if (boundary.length > 0 || (kind !== 'refresh_token' && kind !== 'client_credentials'))
    throw new BrokerError('target_unavailable', {
      reason: `credential ${name}: upstream ${upstream} has no ${only}`,
    })
}

function refuseLongerLife({ lifetime }: Grant, { issuedAt, expiresAt }: MintedToken): void {
  if (lifetime !== undefined && until(expiresAt, issuedAt) > lifetime)
    throw nonsense(
      `the upstream's token lives ${until(expiresAt, issuedAt)} s, and ${lifetime} s are allowed`,
    )
}
