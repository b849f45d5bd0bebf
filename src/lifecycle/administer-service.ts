import type { BlockedCaller, ByHand } from '../domain/blocks.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import type { BlocksRecord, CallerName } from '../records/blocks.ts'
import { invalidDocument } from './invalid-document.ts'

export interface AdministerServiceDeps {
  readonly blocks: BlocksRecord
  /** Throws `policy_unavailable`. */
  readonly issuers: () => Promise<readonly TrustedIssuer[]>
  /** Throws `admin_forbidden`. */
  readonly mayBlock: (named: CallerName, by: Caller) => Promise<void>
}

/** The kill switch, for everything and for single callers. Every act but letting somebody in may be repeated. */
export interface AdministerService {
  readonly stop: (by: Caller) => Promise<ByHand | undefined>
  readonly resume: () => Promise<ByHand | undefined>
  readonly blockedCallers: () => Promise<readonly BlockedCaller[]>
  /**
   * By the exact `iss` or the policy's name for it. Throws `document_invalid` for an issuer that the policy does not
   * know, for then a slip would block nobody, `state_conflict` for the caller himself or a full list, and
   * `admin_forbidden` for whom he may not block.
   */
  readonly blockCaller: (caller: CallerName, by: Caller) => Promise<BlockedCaller>
  /**
   * Whom it let in, by the exact `iss` where he was blocked. Throws `not_found` where nobody of that name was blocked,
   * for then a slip would let in nobody.
   */
  readonly unblockCaller: (caller: CallerName) => Promise<CallerName>
}

export function createAdministerService({
  blocks,
  issuers,
  mayBlock,
}: AdministerServiceDeps): AdministerService {
  const issuerOf = async (text: string): Promise<string | undefined> => {
    const known = await issuers()
    return (known.find(({ issuer }) => issuer === text) ?? known.find(({ name }) => name === text))?.issuer
  }

  return {
    stop: async (by) => (await blocks.stop(nameOf(by))).stopped,
    resume: async () => (await blocks.resume()).stopped,
    blockedCallers: async () => (await blocks.read()).callers,
    blockCaller: async ({ issuer: text, subject }, by) => {
      const issuer = await issuerOf(text)
      if (issuer === undefined)
        throw invalidDocument([
          `issuer: the policy trusts no issuer ${quote(text)}, and nobody of it gets a token`,
        ])
      if (issuer === by.issuer && subject === by.subject)
        throw new BrokerError('state_conflict', {
          reason: 'a caller does not block himself',
          publicDetail: 'you would lock yourself out: let another administrator do it',
        })
      await mayBlock({ issuer, subject }, by)
      return blocks.block({ issuer, subject }, nameOf(by))
    },
    unblockCaller: async ({ issuer, subject }) => {
      // As it was written down first: its issuer may have left the policy since.
      if (await blocks.unblock({ issuer, subject })) return { issuer, subject }
      const named = { issuer: (await issuerOf(issuer)) ?? issuer, subject }
      if (named.issuer !== issuer && (await blocks.unblock(named))) return named
      const reason = `no caller ${quote(subject)} of ${quote(named.issuer)} is blocked`
      throw new BrokerError('not_found', { reason, publicDetail: reason })
    },
  }
}

function nameOf({ issuer, subject }: Caller): string {
  return `${issuer}/${subject}`
}
