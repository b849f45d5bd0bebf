import { BrokerError } from '../domain/broker-error.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { Grant } from '../domain/grant.ts'
import type { Secret } from '../domain/secret.ts'
import type { MintedToken } from '../domain/token.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'

/**
 * Shares the token of a grant between requests and instances until near its end, like any token that is issued; it is
 * minted when there is none.
 */
export type ShareToken = (
  grant: Grant,
  mint: () => Promise<MintedToken>,
  deadlineMs: number,
) => Promise<MintedToken>

export interface ImpersonatorTokenDeps {
  readonly shareToken: ShareToken
  readonly mintFrom: (grant: Grant, deadlineMs: number) => Promise<MintedToken>
  /** Absent when the broker has no Google identity. */
  readonly ownIdentity?: OwnIdentity
}

export interface ImpersonatorTokenFor {
  readonly grant: Grant
  /** By the steady clock. */
  readonly deadlineMs: number
  /** One that Google did not accept. */
  readonly refused?: Secret
}

export interface ImpersonatorToken {
  readonly secret: Secret
  /** The versions of the source that it was drawn from; none for the broker's own. */
  readonly drawnFrom: readonly string[]
}

export type GetImpersonatorToken = (wanted: ImpersonatorTokenFor) => Promise<ImpersonatorToken>

/**
 * The token that acts for a service account: of the credential's source, or else the broker's own. It carries
 * cloud-platform and is never issued on the strength of this grant. Throws what minting from the source throws.
 */
export function createImpersonatorToken({
  shareToken,
  mintFrom,
  ownIdentity,
}: ImpersonatorTokenDeps): GetImpersonatorToken {
  return async ({ grant, deadlineMs, refused }) => {
    const { caller, rule, credential } = grant
    const { source } = credential
    if (source === undefined) {
      const identity = requireOwnIdentity(ownIdentity, credential.name)
      return { secret: await identity.actingToken(refused), drawnFrom: [] }
    }
    const wanted: Grant = {
      caller,
      rule,
      credential: source,
      scopes: [cloudPlatformScope],
      tokenType: 'access_token',
    }
    const mint = () => mintFrom(wanted, deadlineMs)
    // Another for the one that was refused is for this request only: who shares that one finds out likewise.
    const { secret, drawnFrom } = await (refused === undefined
      ? shareToken(wanted, mint, deadlineMs)
      : mint())
    return { secret, drawnFrom }
  }
}

export function requireOwnIdentity(identity: OwnIdentity | undefined, name: string): OwnIdentity {
  if (identity !== undefined) return identity
  throw new BrokerError('target_unavailable', {
    reason:
      `credential ${name} draws on the broker's own identity, and it has none here: set ` +
      'DOWNSCOPE_GOOGLE_CREDENTIALS or DOWNSCOPE_GOOGLE_FEDERATION',
  })
}
