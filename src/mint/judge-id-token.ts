import type { Members } from '../domain/json-object.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import { parseIdToken, type AskedIdToken, type Judged } from './parse-token-reply.ts'

export interface WantedIdToken extends Omit<AskedIdToken, 'now'> {
  readonly sentAt: EpochSeconds
  readonly drawnFrom: readonly string[]
}

/** The ID token of a reply, if it is for whom it was asked, and of whom. It carries no scope. */
export function judgeIdToken(
  members: Members,
  { sentAt, drawnFrom, ...asked }: WantedIdToken,
): Judged<MintedToken> {
  const reply = parseIdToken(members, { ...asked, now: sentAt })
  if (!reply.ok) return reply
  const { idToken: secret, expiresAt } = reply.value
  return {
    ok: true,
    value: { secret, tokenType: 'id_token', scopes: [], drawnFrom, issuedAt: sentAt, expiresAt },
  }
}
