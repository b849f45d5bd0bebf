import { cloudPlatformScope } from '../domain/google.ts'
import type { Grant } from '../domain/grant.ts'
import type { MintedToken } from '../domain/token.ts'
import type { ExchangeBoundary } from '../google/sts.ts'
import type { ShareToken } from './impersonator-token.ts'

export interface BoundedTokenDeps {
  readonly shareToken: ShareToken
  readonly mintUnbounded: (grant: Grant, deadlineMs: number) => Promise<MintedToken>
  readonly putBoundary: ExchangeBoundary
}

/**
 * A token with the grant's boundary, from the token without one: that is shared and kept with its own end like any
 * that is issued, so that many boundaries of one credential cost one mint. It may have been revoked since it was minted:
 * where the STS does not take a kept one, a new one is minted once.
 */
export function createMintBounded({
  shareToken,
  mintUnbounded,
  putBoundary,
}: BoundedTokenDeps): (grant: Grant, deadlineMs: number) => Promise<MintedToken> {
  return async (grant, deadlineMs) => {
    const { boundary = [], bounding, ...granted } = grant
    // What nothing but the boundary narrows is asked for only where every role was proved (`chooseBounding`).
    const raw = bounding?.source === 'cloud-platform' ? { ...granted, scopes: [cloudPlatformScope] } : granted
    let isKept = true
    const mint = (): Promise<MintedToken> => {
      isKept = false
      return mintUnbounded(raw, deadlineMs)
    }
    const task = { grant, boundary, deadlineMs }
    const bounded = await putBoundary({ ...task, source: await shareToken(raw, mint, deadlineMs) })
    if (bounded.kind === 'bounded') return bounded.token
    if (!isKept) throw bounded.error
    const again = await putBoundary({ ...task, source: await mint() })
    if (again.kind === 'bounded') return again.token
    throw again.error
  }
}
