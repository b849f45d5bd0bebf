import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { later, seconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { Credentials } from '../records/credentials.ts'

/** When to ask again: a key has no end of its own, and one that was replaced should not be used for long. */
const askAgainAfter = seconds(3600)

export interface ApiKeyDeps {
  readonly credentials: Pick<Credentials, 'openSecret'>
  readonly clock: Clock
}

/**
 * The stored key itself, as what it is: it carries no scope, and its end is when to ask again. Nothing is asked
 * upstream. Throws what `openSecret` throws, and `target_unavailable` when anything but a key was granted.
 */
export function createHandOutApiKey({
  credentials,
  clock,
}: ApiKeyDeps): (grant: Grant) => Promise<MintedToken> {
  return async ({ credential: { name, version }, tokenType }) => {
    if (tokenType !== 'api_key')
      throw new BrokerError('target_unavailable', {
        reason: `credential ${name}: no ${tokenType} comes of an API key`,
      })
    const { secret } = await credentials.openSecret(name, version)
    if (secret.kind !== 'api_key')
      throw new BrokerError('target_unavailable', { reason: `credential ${name} holds no API key` })
    const issuedAt = clock.now()
    return {
      secret: secret.key,
      tokenType,
      scopes: [],
      drawnFrom: [version],
      issuedAt,
      expiresAt: later(issuedAt, askAgainAfter),
    }
  }
}
