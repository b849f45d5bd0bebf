import type { MaybePromise } from '../domain/promises.ts'
import type { BlocksInForce } from '../domain/blocks.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { grantedCredential, isDrawnFrom } from '../domain/grant.ts'
import type { Introspection, Mint } from '../domain/token.ts'
import type { Secret } from '../domain/secret.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { IssuedTokens } from '../records/tokens.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import type { BlocksRecord } from '../records/blocks.ts'
import type { Log } from '../ports/log.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

interface IntrospectDeps {
  readonly issuedTokens: Pick<IssuedTokens, 'find'>
  /** Throws `store_unavailable`. */
  readonly blocks: () => BlocksInForce | Promise<BlocksInForce>
  readonly findCredential: (name: string) => MaybePromise<CredentialSummary | undefined>
  readonly clock: Clock
  readonly sha256: Sha256
  /** Counts everybody's requests together, apart from those for tokens: each costs a read of the store. */
  readonly countRequest: () => Promise<void>
}

/**
 * Introspects a token (RFC 7662). Whoever presents it may know what it is: holding it is the proof. Inactive is a token
 * that this broker did not issue, that has expired or was revoked, or whose credential is disabled or gone (§2.2); and
 * every token while the service is stopped. `read` parses the token after the request was counted, and throws what is
 * wrong with it. Throws `caller_throttled` and `store_unavailable`.
 */
export function createIntrospect(deps: IntrospectDeps): (read: () => Secret) => Promise<Introspection> {
  const { issuedTokens, blocks, findCredential, clock, sha256, countRequest } = deps
  return async (read) => {
    await countRequest()
    const digest = await sha256(read().reveal())
    const facts = await issuedTokens.find(digest)
    const { stopped, isRevoked } = await blocks()
    if (stopped !== undefined || isRevoked(digest)) return { isActive: false }
    // An API key does not expire, so that `expires_at` of its record says nothing.
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

interface RevokeIssuedDeps {
  readonly issuedTokens: Pick<IssuedTokens, 'find'>
  readonly blocks: Pick<BlocksRecord, 'revoke'>
  /** Throws `target_unavailable` for a credential that the caller may not use. */
  readonly mayUse: (caller: Caller, credential: string) => Promise<void>
  readonly findCredential: (name: string) => MaybePromise<Pick<CredentialSummary, 'kind'> | undefined>
  readonly clock: Clock
  readonly sha256: Sha256
}

/**
 * Revokes a token here (RFC 7009): within 10 s no instance returns it from a cache or introspects it as active, and the
 * next token request mints a new one. It is not revoked upstream, which at Google would end the whole grant
 * (docs/google.md §1.5): there it works until it expires. `undefined` for a token that this broker did not issue, or
 * that has expired. Throws `target_unavailable`, `token_type_unsupported`, `caller_throttled` and `store_unavailable`.
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
    // These come again the same with the next request, and blocking one would block every caller: disable the credential instead.
    if (facts.tokenType === 'api_key' || kind === 'broker_identity')
      throw new BrokerError('token_type_unsupported', {
        reason: `a token of credential ${facts.credential} cannot be revoked here: the next request would get the same one`,
      })
    const by = await sha256(JSON.stringify([caller.issuer, caller.subject]))
    await blocks.revoke({ digest, expiresAt: facts.expiresAt, by })
    return { digest, credential: facts.credential }
  }
}

interface RecordIssuedTokensDeps {
  readonly mint: Mint
  readonly issuedTokens: Pick<IssuedTokens, 'note'>
  readonly sha256: Sha256
  readonly log: Log
}

/**
 * Records each minted token by its digest before it is returned: gcloud introspects a token as soon as it has it. A
 * token that could not be recorded is returned all the same; introspection calls it inactive, and the log says why.
 */
export function recordIssuedTokens({ mint, issuedTokens, sha256, log }: RecordIssuedTokensDeps): Mint {
  return async (grant, deadlineMs) => {
    const token = await mint(grant, deadlineMs)
    const { credential, subject } = grant
    const { tokenType, scopes, drawnFrom, issuedAt, expiresAt } = token
    try {
      await issuedTokens.note(await sha256(token.secret.reveal()), {
        credential: credential.name,
        tokenType,
        drawnFrom,
        ...omitUndefined({ subject }),
        scopes,
        issuedAt,
        expiresAt,
      })
    } catch (error) {
      if (!isBrokerError(error)) throw error
      log('warn', 'a token was not noted, and cannot be introspected', { credential: credential.name, error })
    }
    return token
  }
}
