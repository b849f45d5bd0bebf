import type { Members } from '../domain/json-object.ts'
import { formatScope, scopesBeyond, scopesIn, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { MintedToken } from '../domain/token.ts'
import { later, type EpochSeconds } from '../domain/time.ts'
import { parseAccessToken, type Judged, type ReplyForm } from './parse-token-reply.ts'
import { quoteUpstream } from '../domain/quote-upstream.ts'

/** docs/google.md §6.3: Google consents to the short names and answers with the long ones. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['email', 'https://www.googleapis.com/auth/userinfo.email'],
  ['profile', 'https://www.googleapis.com/auth/userinfo.profile'],
])

/**
 * The access token of a reply, if it carries no more than was asked for: fewer scopes are what the token then says of
 * itself; one more, or none, is a fault, and the token goes no further. Its life counts from before it was asked for.
 */
export function judgeAccessToken(
  members: Members,
  { asked, sentAt, drawnFrom, form }: AskedToken,
): Judged<MintedToken> {
  const reply = parseAccessToken(members, form)
  if (!reply.ok) return reply
  const { accessToken, expiresIn, scopes: told } = reply.value
  if (expiresIn === undefined) return { ok: false, fault: 'no expires_in' }
  const carried = told === undefined ? asked : carriedScopes(asked, told)
  if (carried === undefined) {
    // Which: whoever writes the policy has to name them, or have the upstream stop adding them.
    const beyond = quoteUpstream(formatScope(scopesBeyond(told ?? [], asked)), [accessToken])
    return { ok: false, fault: `a token that carries more scopes than were asked for: ${beyond}` }
  }
  if (carried.length === 0) return { ok: false, fault: 'a token without any scope' }
  return {
    ok: true,
    value: {
      secret: accessToken,
      tokenType: 'access_token',
      scopes: carried,
      drawnFrom,
      issuedAt: sentAt,
      expiresAt: later(sentAt, expiresIn),
    },
  }
}

export interface AskedToken {
  readonly asked: ScopeSet
  readonly sentAt: EpochSeconds
  readonly drawnFrom: readonly string[]
  /** Absent: as RFC 6749 has it. */
  readonly form?: ReplyForm
}

/** What was asked for and is there, in the words of the asker; `undefined` when there is more. */
export function carriedScopes(asked: ScopeSet, told: ScopeSet): ScopeSet | undefined {
  const names = scopeSet(told.map(fullName))
  const isWider = scopesIn(names, asked.map(fullName)).length < names.length
  return isWider ? undefined : asked.filter((scope) => names.includes(fullName(scope)))
}

function fullName(scope: string): string {
  return aliases.get(scope) ?? scope
}
