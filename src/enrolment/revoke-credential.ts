import { isBrokerError, BrokerError } from '../domain/broker-error.ts'
import type {
  CredentialSummary,
  Revocation,
  UpstreamRevocation,
  VersionSummary,
} from '../domain/credential.ts'
import type { Credentials } from '../records/credentials.ts'
import type { HeldVersion } from '../records/version-changes.ts'
import { foundCredential } from './credential-faults.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import type { RefreshingDeps } from '../domain/refreshing-value.ts'
import type { Log } from '../ports/log.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { IamKeys } from '../google/iam-keys.ts'
import { createRevokeRefreshToken } from '../oauth/redeem-code.ts'
import { createRequestToken } from '../oauth/token-endpoint.ts'
import { createSendWithRetry, type SendWithRetryDeps } from '../oauth/send-with-retry.ts'
import { createResolveUpstream } from '../oauth/resolve-upstream.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import { clientOf } from '../records/credential-secrets.ts'

/** What came of withdrawing one version upstream. */
interface Withdrawal {
  readonly result: Exclude<UpstreamRevocation, 'failed'>
  /** For people; never a secret. */
  readonly detail?: string
}

/** Withdraws upstream what a version holds. Throws a `BrokerError` when it could not be done now. */
export type WithdrawVersion = (credential: CredentialSummary, version: VersionSummary) => Promise<Withdrawal>

interface RevokeCredentialDeps {
  readonly credentials: Pick<Credentials, 'revoke' | 'noteRevocation' | 'heldVersions'>
  readonly withdraw: WithdrawVersion
}

export interface RevokedCredential {
  readonly credential: CredentialSummary
  readonly revocation: Omit<Revocation, 'at'>
}

/** Throws `changed_meanwhile` unless the credential is at that revision, if one is named. */
export type RevokeCredential = (name: string, revision?: string) => Promise<RevokedCredential>

/**
 * Revokes a credential here first, which takes effect on every instance within 10 s (P26), and then upstream. What fails there
 * throws nothing: its secrets are kept, and asking again finishes it. Throws `not_found`.
 */
export function createRevokeCredential({ credentials, withdraw }: RevokeCredentialDeps): RevokeCredential {
  return async (name, revision) => {
    const credential = foundCredential(name, await credentials.revoke(name, revision))
    const outcomes: VersionOutcome[] = []
    // One after the other: the second of two refresh tokens of one grant is dead with the first.
    for (const held of await credentials.heldVersions(name)) {
      const version = credential.versions.find(({ id }) => id === held.id)
      // What was brought after that is another administrator's, and has to be proved first.
      if (version !== undefined)
        outcomes.push({ held, ...(await withdrawOne(withdraw, credential, version)) })
    }
    const before = credential.revocation
    // All was done when it was asked for the last time.
    if (outcomes.length === 0 && before !== undefined) return { credential, revocation: withoutTime(before) }
    const revocation = sumUp(outcomes)
    const withdrawn = outcomes.filter(({ result }) => isOver.has(result)).map(({ held }) => held)
    const after = foundCredential(name, await credentials.noteRevocation(name, revocation, withdrawn))
    return { credential: after, revocation: withoutTime(after.revocation ?? revocation) }
  }
}

interface Outcome {
  readonly result: UpstreamRevocation
  readonly detail?: string
}

interface VersionOutcome extends Outcome {
  readonly held: HeldVersion
}

async function withdrawOne(
  withdraw: WithdrawVersion,
  credential: CredentialSummary,
  version: VersionSummary,
): Promise<Outcome> {
  try {
    return await withdraw(credential, version)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return { result: 'failed', detail: `${error.reason}; revoke it again to finish` }
  }
}

const isOver: ReadonlySet<UpstreamRevocation> = new Set<UpstreamRevocation>(['done', 'already_dead'])
/** The first of these that any version came to is what is told. */
const worstFirst: readonly UpstreamRevocation[] = ['failed', 'not_possible', 'done', 'already_dead']

function sumUp(outcomes: readonly Outcome[]): Omit<Revocation, 'at'> {
  const upstream = worstFirst.find((one) => outcomes.some(({ result }) => result === one)) ?? 'already_dead'
  const details = outcomes.flatMap(({ detail }) => (detail === undefined ? [] : [detail]))
  return { upstream, ...(details.length > 0 && { detail: [...new Set(details)].join('; ') }) }
}

function withoutTime({ upstream, detail }: Omit<Revocation, 'at'>): Omit<Revocation, 'at'> {
  return { upstream, ...omitUndefined({ detail }) }
}

interface RevokeVersionDeps extends SendWithRetryDeps, Pick<RefreshingDeps, 'sharesWork'> {
  readonly log: Log
  readonly credentials: Pick<Credentials, 'find' | 'openSecret' | 'openWithdrawn'>
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  readonly google: { readonly oauthTokenUrl: string; readonly revokeUrl: string }
}

/** Revokes what a version holds at its upstream (RFC 7009). Throws a `BrokerError`. */
export type RevokeVersion = (
  credential: CredentialSummary,
  version: string,
) => Promise<'done' | 'already_dead' | 'no_endpoint'>

/** Revokes the refresh token of one version at its upstream. Throws `upstream_unavailable` and `target_unavailable`. */
export function createRevokeVersion(deps: RevokeVersionDeps): RevokeVersion {
  const { google, credentials } = deps
  const reachUpstream = createResolveUpstream({ ...deps, tokenUrl: google.oauthTokenUrl })
  const revoke = createRevokeRefreshToken({
    ...deps,
    ask: createRequestToken({ ...deps, ask: createSendWithRetry(deps) }),
    googleRevokeUrl: google.revokeUrl,
  })
  return async (credential, version) => {
    const { name, upstream } = credential
    const reached = await reachUpstream(credential)
    const secret = await credentials.openWithdrawn(name, version)
    if (secret.kind !== 'refresh_token') return 'no_endpoint'
    const client = await clientOf(credentials, secret.client, { upstream, mayBeOff: true })
    return revoke({ reached, client, credential: name, refreshToken: secret.refreshToken })
  }
}

interface WithdrawDeps {
  readonly rotationIdentity: 'credential' | 'broker'
  readonly ownIdentity?: OwnIdentity
  readonly iamKeys: Pick<IamKeys, 'disable'>
  readonly revoke: RevokeVersion
}

/**
 * What can be done upstream about a version of a credential that is revoked: by the broker's own hand, for the
 * credential's own has no rights any more. What cannot be done here says who does it where.
 */
export function createWithdraw({
  rotationIdentity,
  ownIdentity,
  iamKeys,
  revoke,
}: WithdrawDeps): WithdrawVersion {
  return async (credential, { id, identity, keyId }) => {
    switch (credential.kind) {
      case 'refresh_token': {
        const result = await revoke(credential, id)
        if (result !== 'no_endpoint') return { result }
        return {
          result: 'not_possible',
          detail: 'its upstream has no revocation_endpoint in the policy: revoke the grant there',
        }
      }
      case 'service_account_key': {
        if (rotationIdentity === 'credential' || ownIdentity === undefined || keyId === undefined)
          return {
            result: 'not_possible',
            detail: `disable key ${keyId ?? ''} of ${identity} in IAM; ${tokensLive}`,
          }
        const disabled = await iamKeys.disable(
          { email: identity, token: await ownIdentity.actingToken() },
          keyId,
        )
        if (!disabled.ok) throw new BrokerError('upstream_unavailable', { reason: disabled.reason })
        return { result: 'done', detail: `key ${keyId} of ${identity} is disabled in IAM; ${tokensLive}` }
      }
      case 'oauth_client':
      case 'client_credentials':
        return { result: 'not_possible', detail: `renew the client's secret at its upstream; ${tokensLive}` }
      case 'api_key':
        return {
          result: 'not_possible',
          detail: 'delete the key at its upstream: whoever holds it can use it',
        }
      case 'impersonation':
      case 'broker_identity':
        return { result: 'not_possible', detail: `there is no secret to revoke; ${tokensLive}` }
    }
  }
}

const tokensLive = 'access tokens that were handed out live up to an hour'
