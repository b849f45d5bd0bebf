import { BrokerError } from '../domain/broker-error.ts'
import type { AtHand } from '../domain/at-hand.ts'
import type { Caller } from '../domain/caller.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { Secret } from '../domain/secret.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { BlocksRecord } from '../records/blocks.ts'
import type { IssuedTokens } from '../records/issued-tokens.ts'

export interface RevokeIssuedDeps {
  readonly issuedTokens: Pick<IssuedTokens, 'find'>
  readonly blocks: Pick<BlocksRecord, 'revoke'>
  /** Throws `target_unavailable` for a credential that the caller may not use. */
  readonly mayUse: (caller: Caller, credential: string) => Promise<void>
  readonly findCredential: (name: string) => AtHand<Pick<CredentialSummary, 'kind'> | undefined>
  readonly clock: Clock
  readonly sha256: Sha256
}

/**
 * Takes a token out of service here: within 10 s no instance serves it or calls it active, and whoever shares it gets a
 * new one. The upstream is not asked: at Google that would end the whole grant (docs/google.md §1.5), so that whoever
 * has the token can use it until its end. `undefined` for a token that is not ours or is over. Throws
 * `target_unavailable`, `token_type_unsupported`, `caller_throttled` and `store_unavailable`.
 */
export function createRevokeIssued({
  issuedTokens,
  blocks,
  mayUse,
  findCredential,
  clock,
  sha256,
}: RevokeIssuedDeps): (
  caller: Caller,
  token: Secret,
) => Promise<{ readonly digest: string; readonly credential: string } | undefined> {
  return async (caller, token) => {
    const digest = await sha256(token.reveal())
    const facts = await issuedTokens.find(digest)
    if (facts === undefined || facts.expiresAt <= clock.now()) return undefined
    await mayUse(caller, facts.credential)
    const kind = (await findCredential(facts.credential))?.kind
    // The next one would be the same, and nobody else would have one: only its credential can be switched off.
    if (facts.tokenType === 'api_key' || kind === 'broker_identity')
      throw new BrokerError('token_type_unsupported', {
        reason: `what credential ${facts.credential} gives cannot be given back: it gives the same again`,
      })
    const by = await sha256(JSON.stringify([caller.issuer, caller.subject]))
    await blocks.revoke({ digest, expiresAt: facts.expiresAt, by })
    return { digest, credential: facts.credential }
  }
}
