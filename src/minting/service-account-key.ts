import { unusableCredential, BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { formatScope } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { MintBy, MintedToken } from '../domain/token.ts'
import type { Credentials } from '../records/credentials.ts'
import {
  importAssertionKey,
  signAssertion,
  signClaims,
  signText,
  type AssertionKey,
} from '../google/service-account-key.ts'
import type { SendWithRetry } from '../oauth/send-with-retry.ts'
import { createExchangeAssertion, requireIdTokenAudience } from './exchange-assertion.ts'
import { sign, type SignDeps } from './sign.ts'
import { createRecordHealth, type RecordHealthDeps } from './record-health.ts'
import { requireScopes } from '../oauth/token-response.ts'
import { createOncePerVersion, type VersionName } from '../domain/recently-used.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ServiceAccountKeyDeps extends RecordHealthDeps, SignDeps {
  readonly ask: SendWithRetry
  readonly credentials: Pick<Credentials, 'openSecret' | 'noteHealth'>
  readonly tokenUrl: string
}

/**
 * A token for a service account's own signed assertion (RFC 7523), of the granted scopes or for the granted audience.
 * With the key in memory nothing is read from the store. The reply to an assertion names no scope: the token carries
 * what was signed.
 */
export function createMintFromServiceAccountKey(deps: ServiceAccountKeyDeps): MintBy {
  const signingKey = createSigningKeys(deps.credentials)
  const noteHealth = createRecordHealth(deps)
  const exchange = createExchangeAssertion({ ...deps, noteHealth })

  const signLocally = async (grant: Grant): Promise<MintedToken> => {
    const key = await signingKey(grant.credential)
    const { keyId, clientEmail: account } = key
    return sign(
      deps,
      {
        account,
        drawnFrom: () => [grant.credential.version],
        signText: async (text) => ({ keyId, signature: await signText(key, text) }),
        signJwt: async (claims) => ({ keyId, signature: await signClaims(key, claims) }),
      },
      grant,
    )
  }

  return async (grant, deadlineMs) => {
    if (grant.tokenType === 'signature') return signLocally(grant)
    const claims = claimsOf(grant)
    const key = await signingKey(grant.credential)
    const assertion = await signAssertion(key, claims, deps.clock.now())
    const token = await exchange({
      grant,
      assertion,
      drawnFrom: [grant.credential.version],
      // Where another version stands by, a key that is not known everywhere yet need not be waited for.
      ...(grant.credential.standby === undefined && { versionCreatedAt: key.createdAt }),
      deadlineMs,
    })
    await noteHealth(grant.credential, { status: 'healthy' })
    return token
  }
}

function claimsOf(grant: Grant): Readonly<Record<string, string>> {
  const { credential, tokenType, scopes, subject } = grant
  switch (tokenType) {
    case 'access_token':
      // Never an assertion without a scope.
      requireScopes(grant)
      return { scope: formatScope(scopes), ...omitUndefined({ sub: subject }) }
    case 'id_token':
      return { target_audience: requireIdTokenAudience(grant) }
    case 'api_key':
    case 'signature':
      throw new BrokerError('target_unavailable', {
        reason: `credential ${credential.name}: no ${tokenType} is asked for with an assertion`,
      })
  }
}

/** Key versions in use at once, some kilobytes each. */
const keysMax = 500

/** An imported key of one credential version. */
export interface SigningKey extends AssertionKey {
  /** When the version was added. */
  readonly createdAt: EpochSeconds
}

/**
 * The imported key of a credential version, kept: importing costs 1.5 signatures. Throws what `openSecret` throws, and
 * `target_unavailable` when what is stored is no service-account key.
 */
function createSigningKeys(
  credentials: Pick<Credentials, 'openSecret'>,
): (version: VersionName) => Promise<SigningKey> {
  return createOncePerVersion(keysMax, async ({ name, version }) => {
    const { secret, createdAt } = await credentials.openSecret(name, version)
    if (secret.kind !== 'service_account_key') throw unusableCredential(name, 'holds no service-account key')
    const { clientEmail, keyId, privateKey } = secret
    return {
      clientEmail,
      keyId,
      key: await importAssertionKey(privateKey, () =>
        unusableCredential(name, 'holds a private key that cannot be imported'),
      ),
      createdAt,
    }
  })
}
