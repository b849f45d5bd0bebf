import { BrokerError } from '../domain/broker-error.ts'
import type { Credentials } from '../records/credentials.ts'
import type { ActedFor } from './iam-credentials.ts'
import { createOncePerVersion, type VersionName } from './once-per-version.ts'

/** Credential versions in use at once, some hundred bytes each. */
const accountsMax = 1000

/**
 * The service account that a version of an impersonating credential acts for, kept: there is no secret in it. Throws
 * what `openSecret` throws.
 */
export function createActedFor(
  credentials: Pick<Credentials, 'openSecret'>,
): (version: VersionName) => Promise<ActedFor> {
  return createOncePerVersion(accountsMax, async ({ name, version }) => {
    const { secret } = await credentials.openSecret(name, version)
    if (secret.kind !== 'impersonation')
      throw new BrokerError('target_unavailable', {
        reason: `credential ${name} names no account to act for`,
      })
    const { serviceAccount, delegates } = secret
    return { serviceAccount, delegates }
  })
}
