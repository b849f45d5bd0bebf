import { importPKCS8, type CryptoKey } from 'jose'
import { BrokerError } from '../domain/broker-error.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Credentials } from '../records/credentials.ts'
import { createOncePerVersion, type VersionName } from './once-per-version.ts'

/** Key versions in use at once, some kilobytes each. */
const keysMax = 500

/** An imported key of one credential version: everything a signature needs. */
export interface SigningKey {
  readonly clientEmail: string
  readonly keyId: string
  readonly key: CryptoKey
  /** When the version was added. */
  readonly createdAt: EpochSeconds
}

/**
 * The imported key of a credential version, kept: importing costs 1.5 signatures. Throws what `openSecret` throws, and
 * `target_unavailable` when what is stored is no service-account key.
 */
export function createSigningKeys(
  credentials: Pick<Credentials, 'openSecret'>,
): (version: VersionName) => Promise<SigningKey> {
  return createOncePerVersion(keysMax, async ({ name, version }) => {
    const { secret, createdAt } = await credentials.openSecret(name, version)
    if (secret.kind !== 'service_account_key') throw unusable(name, 'holds no service-account key')
    const { clientEmail, keyId, privateKey } = secret
    return { clientEmail, keyId, key: await importKey(privateKey.reveal(), name), createdAt }
  })
}

async function importKey(pem: string, name: string): Promise<CryptoKey> {
  try {
    return await importPKCS8(pem, 'RS256')
  } catch {
    // The cause may quote the text.
    throw unusable(name, 'holds a private key that cannot be imported')
  }
}

function unusable(name: string, why: string): BrokerError {
  return new BrokerError('target_unavailable', { reason: `credential ${name} ${why}` })
}
