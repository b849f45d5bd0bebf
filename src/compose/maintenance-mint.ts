import type { Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import { grantedCredential, type Grant } from '../domain/grant.ts'
import { scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { ProveVersion, RotationDeps } from '../lifecycle/rotation/rotation-deps.ts'
import type { Mint } from '../mint/mint.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import type { Credentials } from '../records/credentials.ts'
import type { RefreshTurns } from '../records/refresh-turns.ts'
import type { Records } from './records.ts'

export interface IamTokenDeps {
  readonly rotationIdentity: Settings['rotationIdentity']
  readonly ownIdentity?: OwnIdentity
  readonly mint: Mint
}

/** The token by which the keys of a service account are changed: of the credential itself, or of the broker. */
export function createIamToken({
  rotationIdentity,
  ownIdentity,
  mint,
}: IamTokenDeps): RotationDeps['iamToken'] {
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

/** A version is proved alone, by a token that nobody uses: another that stands by proves nothing. */
export function provingWith(mint: Mint, { find, scopesInUse }: ProofDeps): ProveVersion {
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
    const { standby: _, ...alone } = grant.credential
    await mint({ ...grant, credential: { ...alone, version } })
  }
}

interface ProofDeps {
  readonly find: Credentials['find']
  /** The scopes that a rule allows for a credential; empty without one. */
  readonly scopesInUse: (credential: string) => Promise<ScopeSet>
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

export type MintingRecords = Pick<Records, 'credentials' | 'refreshTurns'>

/** What becomes of a candidate says nothing of the credential's health. */
export function withoutHealth({ credentials, refreshTurns }: MintingRecords): MintingRecords {
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
