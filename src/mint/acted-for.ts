import { BrokerError } from '../domain/broker-error.ts'
import type { GrantedCredential } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Credentials } from '../records/credentials.ts'
import type { ActedFor } from './iam-credentials.ts'

/** Credential versions in use at once, some hundred bytes each. */
const accountsMax = 1000

/**
 * The service account that a version of an impersonating credential acts for, read at its first use only: there is no
 * secret in it, and a version never changes. Whether it may be used is decided before, on every request. Throws what
 * `openSecret` throws.
 */
export function createActedFor(
  credentials: Pick<Credentials, 'openSecret'>,
): (credential: GrantedCredential) => Promise<ActedFor> {
  const known = createRecentlyUsed<ActedFor>({ sizeMax: accountsMax })

  return async ({ name, version }) => {
    const place = JSON.stringify([name, version])
    const held = known.get(place)
    if (held !== undefined) return held
    const { secret } = await credentials.openSecret(name, version)
    if (secret.kind !== 'impersonation')
      throw new BrokerError('target_unavailable', {
        reason: `credential ${name} names no account to act for`,
      })
    const { serviceAccount, delegates } = secret
    known.set(place, { serviceAccount, delegates })
    return { serviceAccount, delegates }
  }
}
