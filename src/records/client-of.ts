import { BrokerError } from '../domain/broker-error.ts'
import type { ClientReference, OAuthClient } from '../domain/credential.ts'
import type { Credentials } from './credentials.ts'

export interface ClientOfDeps {
  readonly credentials: Pick<Credentials, 'find' | 'openSecret' | 'openWithdrawn'>
}

export interface ClientUse {
  /** The upstream it has to be a client of (T18). */
  readonly upstream: string
  /** Whether it may be switched off: to give something back upstream, and for nothing else. */
  readonly mayBeOff?: boolean
}

/**
 * The client that a secret was issued to: its own, or the one that a credential of the kind `oauth_client` is. Throws
 * `target_unavailable` where that is gone, switched off, or of another upstream.
 */
export async function clientOf(
  { credentials }: ClientOfDeps,
  client: OAuthClient | ClientReference,
  { upstream, mayBeOff = false }: ClientUse,
): Promise<OAuthClient> {
  if (client.proof !== 'credential') return client
  const { credential: name } = client
  const found = await credentials.find(name)
  if (found?.kind !== 'oauth_client' || found.upstream !== upstream)
    throw unusable(name, `is no oauth_client of ${upstream}`)
  const secret = mayBeOff
    ? await credentials.openWithdrawn(name, found.version)
    : (await credentials.openSecret(name, found.version)).secret
  if (secret.kind !== 'oauth_client') throw unusable(name, 'holds no client')
  return secret.client
}

function unusable(name: string, why: string): BrokerError {
  return new BrokerError('target_unavailable', { reason: `credential ${name} ${why}` })
}
