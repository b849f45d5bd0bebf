import { isBrokerError } from '../domain/broker-error.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { IssuedTokens } from '../records/issued-tokens.ts'
import type { Mint } from './mint.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface RecordIssuedTokensDeps {
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
