import type { MaybePromise } from '../domain/promises.ts'
import type { BlocksInForce } from '../domain/blocks.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { grantedCredential, isDrawnFrom } from '../domain/grant.ts'
import type { Introspection, Mint } from '../domain/token.ts'
import type { Secret } from '../domain/secret.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { IssuedTokens } from '../records/issued-tokens.ts'
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
    // The next request would get the same token, and a block would take it from everybody: disable the credential instead.
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
 * Notes each minted token by its digest before it is handed out, for gcloud asks what a token is as soon as it has
 * it. A token that could not be noted is good all the same: introspection calls it inactive, and the log says why.
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
