import { importPKCS8, type CryptoKey } from 'jose'
import { BrokerError } from '../domain/broker-error.ts'
import type { GrantedCredential } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Credentials } from '../records/credentials.ts'

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
 * The imported key of a credential version, read and imported at its first use only: importing costs 1.5 signatures,
 * and a version never changes. Whether it may be used is decided before, on every request. Throws what `openSecret`
 * throws, and `target_unavailable` when what is stored is no service-account key.
 */
export function createSigningKeys(
  credentials: Pick<Credentials, 'openSecret'>,
): (credential: GrantedCredential) => Promise<SigningKey> {
  const known = createRecentlyUsed<SigningKey>({ sizeMax: keysMax })

  return async ({ name, version }) => {
    const place = JSON.stringify([name, version])
    const held = known.get(place)
    if (held !== undefined) return held
    // Two requests may import at once: on Workers one must not await the other's promise.
    const { secret, createdAt } = await credentials.openSecret(name, version)
    if (secret.kind !== 'service_account_key') throw unusable(name, 'holds no service-account key')
    const { clientEmail, keyId, privateKey } = secret
    const key = await importKey(privateKey.reveal(), name)
    const signingKey = { clientEmail, keyId, key, createdAt }
    known.set(place, signingKey)
    return signingKey
  }
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
