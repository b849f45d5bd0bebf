import type { AtHand } from '../domain/at-hand.ts'
import type { BlocksInForce } from '../domain/blocks.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { grantedCredential, isDrawnFrom } from '../domain/grant.ts'
import type { Introspection } from '../domain/introspection.ts'
import type { Secret } from '../domain/secret.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { IssuedTokens } from '../records/issued-tokens.ts'

export interface IntrospectDeps {
  readonly issuedTokens: Pick<IssuedTokens, 'find'>
  /** Throws `store_unavailable`. */
  readonly blocks: () => BlocksInForce | Promise<BlocksInForce>
  readonly findCredential: (name: string) => AtHand<CredentialSummary | undefined>
  readonly clock: Clock
  readonly sha256: Sha256
  /** Counts everybody's requests together, apart from those for tokens: each costs a read of the store. */
  readonly countRequest: () => AtHand<void>
}

/**
 * What a token of ours is, told to whoever holds it: holding it is the proof, as nobody can guess one. A token that
 * is not ours, is over, was revoked, or whose credential is disabled or gone is simply not active (RFC 7662 §2.2), and
 * none is while the service is stopped. `read` parses the token once the request is counted, and throws what is wrong.
 * Throws `caller_throttled` and `store_unavailable`.
 */
export function createIntrospect(deps: IntrospectDeps): (read: () => Secret) => Promise<Introspection> {
  const { issuedTokens, blocks, findCredential, clock, sha256, countRequest } = deps
  return async (read) => {
    await countRequest()
    const digest = await sha256(read().reveal())
    const facts = await issuedTokens.find(digest)
    const { stopped, isRevoked } = await blocks()
    if (stopped !== undefined || isRevoked(digest)) return { isActive: false }
    // An API key is no token, and outlives what is noted of it.
    if (facts === undefined || facts.tokenType === 'api_key') return { isActive: false }
    if (facts.expiresAt <= clock.now()) return { isActive: false }
    const credential = await findCredential(facts.credential)
    if (credential?.state !== 'enabled') return { isActive: false }
    const source = credential.source === undefined ? undefined : await findCredential(credential.source)
    if (credential.source !== undefined && source?.state !== 'enabled') return { isActive: false }
    const granted = grantedCredential(
      credential,
      source === undefined ? undefined : grantedCredential(source),
    )
    if (!isDrawnFrom(facts.drawnFrom, granted)) return { isActive: false }
    const { scopes, issuedAt, expiresAt, subject } = facts
    return { isActive: true, username: subject ?? credential.identity, scopes, issuedAt, expiresAt }
  }
}
