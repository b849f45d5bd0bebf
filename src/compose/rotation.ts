import type { Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { Upstream } from '../domain/upstream.ts'
import { grantedCredential, type Grant } from '../domain/grant.ts'
import { scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { createMaintenance, type MaintenanceReport } from '../lifecycle/maintenance.ts'
import { createDriveRotation } from '../lifecycle/rotation/drive-rotation.ts'
import { createIamKeys, type IamKeys } from '../lifecycle/rotation/iam-keys.ts'
import { createKeyPairs } from '../lifecycle/rotation/key-pair.ts'
import { createPursueRotation, type PursueRotation } from '../lifecycle/rotation/pursue-rotation.ts'
import { createRemoveVersions } from '../lifecycle/rotation/remove-versions.ts'
import type { ProveVersion, RotationDeps } from '../lifecycle/rotation/rotation-deps.ts'
import type { WithdrawVersion } from '../lifecycle/revoke-credential.ts'
import { createSweep } from '../lifecycle/sweep.ts'
import { createAskTokenEndpoint } from '../mint/ask-token-endpoint.ts'
import { createAskUpstream } from '../mint/ask-upstream.ts'
import type { Mint } from '../mint/mint.ts'
import { createReachUpstream } from '../mint/reach-upstream.ts'
import { createRevokeRefreshToken } from '../mint/revoke-refresh-token.ts'
import type { Credentials } from '../records/credentials.ts'
import { createMaintenanceProgress } from '../records/maintenance-progress.ts'
import type { RefreshTurns } from '../records/refresh-turns.ts'
import type { Platform } from './platform.ts'
import type { Records } from './records.ts'

export interface RotationRoomDeps {
  readonly settings: Settings
  readonly platform: Platform
  readonly records: Pick<Records, 'credentials' | 'rotations' | 'refreshTurns'>
  readonly mint: Mint
  /** Mints from other records: such that note no health. */
  readonly mintWith: (records: Pick<RotationRoomDeps['records'], 'credentials' | 'refreshTurns'>) => Mint
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  /** The scopes that a rule allows for a credential; empty without one. */
  readonly scopesInUse: (credential: string) => Promise<ScopeSet>
}

export interface RotationRoom extends PursueRotation {
  readonly withdraw: WithdrawVersion
  readonly maintain: () => Promise<MaintenanceReport>
}

/** A new key works within a minute as a rule; Workers give half of one after an answer. */
const pursuedForMs = { node: 60_000, workers: 20_000 }

/** Joins rotation and maintenance with what mints, since a room knows no other. */
export function createRotationRoom(deps: RotationRoomDeps): RotationRoom {
  const { settings, platform, records, mint, mintWith, scopesInUse } = deps
  const { http, clock, log } = platform
  const iamKeys = createIamKeys({ http, iamUrl: settings.google.iamUrl })
  const iamToken = createIamToken(settings, platform, mint)
  const revoke = createRevoke(deps)
  const proof = { find: records.credentials.find, scopesInUse }
  const shared = { iamKeys, iamToken, clock, log }

  const drive = createDriveRotation({
    ...records,
    ...shared,
    createKeyPair: createKeyPairs(platform),
    prove: provingWith(mintWith(withoutHealth(records)), proof),
    revoke,
  })
  return {
    withdraw: createWithdraw(deps, iamKeys, revoke),
    maintain: createMaintenance({
      ...records,
      ...platform,
      progress: createMaintenanceProgress(platform),
      drive,
      removeVersions: createRemoveVersions({ ...shared, credentials: records.credentials }),
      probe: provingWith(mint, proof),
      sweep: createSweep(platform),
    }),
    ...createPursueRotation({
      ...platform,
      drive,
      find: records.credentials.find,
      pursuedForMs: platform.sharesWork ? pursuedForMs.node : pursuedForMs.workers,
    }),
  }
}

function createRevoke({ settings, platform, records, findUpstream }: RotationRoomDeps) {
  const { google } = settings
  const ask = createAskTokenEndpoint({ ...platform, ask: createAskUpstream(platform) })
  const revoke = createRevokeRefreshToken({
    ...records,
    ...platform,
    ask,
    reachUpstream: createReachUpstream({ ...platform, findUpstream, tokenUrl: google.oauthTokenUrl }),
    googleRevokeUrl: google.revokeUrl,
  })
  return (credential: CredentialSummary, version: string) =>
    revoke({ ...grantedCredential(credential), version })
}

/** What can be done upstream about a credential that is revoked: by the broker's own hand, for its own has no rights any more. */
function createWithdraw(
  { settings: { rotationIdentity }, platform: { ownIdentity } }: RotationRoomDeps,
  iamKeys: IamKeys,
  revoke: ReturnType<typeof createRevoke>,
): WithdrawVersion {
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

function createIamToken(
  { rotationIdentity }: Settings,
  { ownIdentity }: Platform,
  mint: Mint,
): RotationDeps['iamToken'] {
  return async (credential) => {
    if (rotationIdentity === 'credential')
      return (await mint(maintenanceGrant(credential, [cloudPlatformScope]))).secret
    if (ownIdentity !== undefined) return ownIdentity.actingToken()
    throw new BrokerError('target_unavailable', {
      reason: 'DOWNSCOPE_ROTATION_IDENTITY=broker, and the broker is nobody to Google here',
    })
  }
}

/** For a token that nobody uses. */
const leastScope = 'https://www.googleapis.com/auth/userinfo.email'

/** A version is proved alone: another that stands by proves nothing. */
function provingWith(mint: Mint, { find, scopesInUse }: ProofDeps): ProveVersion {
  const provedScopes = async ({ name, kind, consentedScopes }: CredentialSummary): Promise<ScopeSet> => {
    if (consentedScopes !== undefined) return consentedScopes
    if (kind !== 'client_credentials') return [leastScope]
    const scopes = await scopesInUse(name)
    if (scopes.length > 0) return scopes
    throw new BrokerError('target_unavailable', {
      reason: `credential ${name}: it was enrolled without scopes, and no rule names any to try it with`,
    })
  }

  return async (credential, version, scopes) => {
    const source = credential.source === undefined ? undefined : await find(credential.source)
    if (credential.source !== undefined && source?.state !== 'enabled')
      throw new BrokerError('target_unavailable', {
        reason: `credential ${credential.name}: its source ${credential.source} is gone or not enabled`,
      })
    const grant = maintenanceGrant(credential, scopes ?? (await provedScopes(credential)), source)
    const { fallback: _, ...alone } = grant.credential
    await mint({ ...grant, credential: { ...alone, version } })
  }
}

interface ProofDeps extends Pick<RotationRoomDeps, 'scopesInUse'> {
  readonly find: Credentials['find']
}

/** What the broker does for itself, with a token that leaves it never. */
function maintenanceGrant(
  credential: CredentialSummary,
  scopes: readonly string[],
  source?: CredentialSummary,
): Grant {
  return {
    caller: { issuer: 'downscope', issuerName: 'downscope', subject: 'maintenance', claims: {} },
    rule: 'maintenance',
    credential: grantedCredential(credential, source === undefined ? undefined : grantedCredential(source)),
    scopes: scopeSet(scopes),
    tokenType: credential.kind === 'api_key' ? 'api_key' : 'access_token',
  }
}

/** What becomes of a candidate says nothing of the credential's health. */
function withoutHealth({ credentials, refreshTurns }: RotationRoomDeps['records']) {
  return {
    credentials: { ...credentials, noteHealth: () => Promise.resolve() },
    refreshTurns: {
      ...refreshTurns,
      end: (...[turn, result]: Parameters<RefreshTurns['end']>) => {
        const { health: _, ...rest } = result
        return refreshTurns.end(turn, rest)
      },
    },
  }
}
