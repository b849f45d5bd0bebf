import type { Members } from '../domain/json-object.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import { epochSeconds, later, until, type EpochSeconds, type Seconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import { parseRfc3339 } from '../domain/utc-instant.ts'
import { isTokenText, type Judged } from './parse-token-reply.ts'

/** Google's clock may be ahead of ours, and its answer under way. */
const skewMax = 60

export interface GeneratedTokenAsked {
  readonly scopes: ScopeSet
  readonly lifetime: Seconds
  readonly sentAt: EpochSeconds
  readonly drawnFrom: readonly string[]
}

/**
 * The token of a reply to generateAccessToken, if it lives no longer than was asked for; by our clock it ends no later
 * than that, and no later than it says. A fault names the member and never its value.
 */
export function judgeGeneratedToken(
  { accessToken, expireTime }: Members,
  { scopes, lifetime, sentAt, drawnFrom }: GeneratedTokenAsked,
): Judged<MintedToken> {
  if (!isTokenText(accessToken)) return fault('no usable accessToken')
  const end = typeof expireTime === 'string' ? parseRfc3339(expireTime) : undefined
  if (end === undefined) return fault('no usable expireTime')
  const life = until(end, sentAt)
  if (life > lifetime + skewMax)
    return fault(`a token that lives ${life} s where ${lifetime} s were asked for`)
  if (!(life >= 1)) return fault("an expireTime that is past by the broker's clock")
  return {
    ok: true,
    value: {
      secret: new Secret(accessToken),
      tokenType: 'access_token',
      scopes,
      drawnFrom,
      issuedAt: sentAt,
      expiresAt: epochSeconds(Math.min(end, later(sentAt, lifetime))),
    },
  }
}

function fault(text: string): { readonly ok: false; readonly fault: string } {
  return { ok: false, fault: text }
}
