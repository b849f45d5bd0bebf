import type { Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { grantedCredential } from '../domain/grant.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { WithdrawVersion } from '../lifecycle/revoke-credential.ts'
import type { IamKeys } from '../lifecycle/rotation/iam-keys.ts'
import type { RevokeVersion } from '../lifecycle/rotation/rotation-deps.ts'
import { createAskTokenEndpoint } from '../mint/ask-token-endpoint.ts'
import { createAskUpstream } from '../mint/ask-upstream.ts'
import { createReachUpstream } from '../mint/reach-upstream.ts'
import { createRevokeRefreshToken } from '../mint/revoke-refresh-token.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import type { Platform } from './platform.ts'
import type { Records } from './records.ts'

export interface RevokeVersionDeps {
  readonly settings: Pick<Settings, 'google'>
  readonly platform: Platform
  readonly records: Pick<Records, 'credentials' | 'refreshTurns'>
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
}

/** Revokes the refresh token of one version at its upstream. */
export function createRevokeVersion({
  settings,
  platform,
  records,
  findUpstream,
}: RevokeVersionDeps): RevokeVersion {
  const { google } = settings
  const ask = createAskTokenEndpoint({ ...platform, ask: createAskUpstream(platform) })
  const revoke = createRevokeRefreshToken({
    ...records,
    ...platform,
    ask,
    reachUpstream: createReachUpstream({ ...platform, findUpstream, tokenUrl: google.oauthTokenUrl }),
    googleRevokeUrl: google.revokeUrl,
  })
  return (credential, version) => revoke({ ...grantedCredential(credential), version })
}

export interface WithdrawDeps {
  readonly rotationIdentity: Settings['rotationIdentity']
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
