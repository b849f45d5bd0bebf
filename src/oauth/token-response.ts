import { fault, type Result } from '../domain/result.ts'
import { claimsOf, parseJsonObject, type Members } from '../domain/json.ts'
import { parseScope, type ScopeSet, formatScope, scopesBeyond, scopesIn, scopeSet } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import { epochSeconds, seconds, type EpochSeconds, type Seconds, later } from '../domain/time.ts'
import { tokenLifeMax, type MintedToken } from '../domain/token.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { HttpAnswer } from '../ports/http-client.ts'
import { quoteUpstream } from './upstream-failure.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** docs/google.md §2.1: Google's access tokens have up to 12288 bytes. */
const tokenBytesMax = 12_288
/** Ten years: beyond it is no expiry. */
const refreshLifeMax = 315_360_000

/** docs/google.md §1.5. */
const googleIssuers: ReadonlySet<unknown> = new Set(['https://accounts.google.com', 'accounts.google.com'])

export type Judged<T> = Result<T>

export interface AccessTokenReply {
  readonly accessToken: Secret
  /** Absent when the reply named none. */
  readonly expiresIn?: Seconds
  /** Absent means what was asked for (RFC 6749 §5.1). */
  readonly scopes?: ScopeSet
}

/** The members of a successful reply: status 200 and a JSON object labelled as JSON, or what is wrong with it. */
export function parseReplyMembers(answer: HttpAnswer): Judged<Members> {
  if (answer.status !== 200) return fault(`status ${answer.status} instead of 200`)
  const mediaType = (answer.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase()
  if (mediaType !== 'application/json') return fault('a reply that is not application/json')
  const members = parseJsonObject(answer.body)
  return members === undefined
    ? fault('a reply that is not a whole JSON object')
    : { ok: true, value: members }
}

/** How an upstream writes its replies. */
export type ReplyForm = Pick<
  Upstream,
  'tokenType' | 'scopeSeparator' | 'lifetimeDefault' | 'readsTextualLifetime'
>

const plainForm: ReplyForm = { tokenType: 'bearer', scopeSeparator: ' ', readsTextualLifetime: false }

/** RFC 6749 §5.1, every member by name; faults name the member and never its value. */
export function parseAccessToken(members: Members, form: ReplyForm = plainForm): Judged<AccessTokenReply> {
  const { access_token: token, token_type: type, expires_in: life, scope } = members
  if (members['error'] !== undefined) return fault('an error beside status 200')
  if (!isTokenText(token)) return fault('no usable access_token')
  if (typeof type !== 'string' || type.toLowerCase() !== form.tokenType)
    return fault(`a token_type other than ${form.tokenType === 'bearer' ? 'Bearer' : form.tokenType}`)
  const expiresIn = life === undefined ? form.lifetimeDefault : lifetimeOf(life, form)
  if (life !== undefined && expiresIn === undefined)
    return fault(`an expires_in that is no number from 1 to ${tokenLifeMax}`)
  const scopes = typeof scope === 'string' ? parseReplyScope(scope, form) : undefined
  if (scope !== undefined && scopes === undefined) return fault('a malformed scope')
  return {
    ok: true,
    value: {
      accessToken: new Secret(token),
      ...omitUndefined({ expiresIn, scopes }),
    },
  }
}

/** Some servers with commas have spaces beside them. */
function parseReplyScope(text: string, { scopeSeparator }: ReplyForm): ScopeSet | undefined {
  return parseScope(scopeSeparator === ',' ? text.replaceAll(',', ' ') : text)
}

export interface RefreshTokenReply {
  /** Absent: the one that was sent stays. */
  readonly token?: Secret
  /** Until the refresh token ends, where the upstream says so. */
  readonly expiresIn?: Seconds
}

/** The refresh token of a reply, if it has one; judged apart, because it must be kept even when the rest is refused. */
export function parseRefreshToken(members: Members): Judged<RefreshTokenReply> {
  const { refresh_token: token } = members
  if (token !== undefined && !isTokenText(token)) return fault('an unusable refresh_token')
  // No standard has it; Google and GitHub write it this way, Keycloak that way, with 0 for one that never ends.
  const life = Number(members['refresh_token_expires_in'] ?? members['refresh_expires_in'] ?? 0)
  return {
    ok: true,
    value: {
      ...(token !== undefined && { token: new Secret(token) }),
      ...(life > 0 && life <= refreshLifeMax && { expiresIn: seconds(Math.floor(life)) }),
    },
  }
}

export interface AskedIdToken {
  readonly audience: string
  readonly now: EpochSeconds
  /** Whose it is to be, where that is known. */
  readonly email?: string
}

/**
 * Google's ID token for exactly `audience`, and of nobody else. It comes straight from its issuer, so its signature
 * says nothing new.
 */
export function parseIdToken(
  { id_token: token, error }: Members,
  { audience, now, email }: AskedIdToken,
): Judged<{ readonly idToken: Secret; readonly expiresAt: EpochSeconds }> {
  if (error !== undefined) return fault('an error beside status 200')
  if (!isTokenText(token)) return fault('no usable id_token')
  const claims = claimsOf(token)
  if (claims === undefined) return fault('an id_token that is no JWT')
  const { aud, iss, exp: expiresAt } = claims
  if (aud !== audience) return fault('an id_token for another audience')
  if (!googleIssuers.has(iss)) return fault('an id_token of another issuer than Google')
  if (email !== undefined && claims['email'] !== email) return fault('an id_token of another account')
  if (typeof expiresAt !== 'number' || !isLifetime(expiresAt - now))
    return fault('an id_token with an unusable exp')
  return { ok: true, value: { idToken: new Secret(token), expiresAt: epochSeconds(Math.floor(expiresAt)) } }
}

/** VSCHAR of RFC 6749 appendix A without the space, which no Authorization header could carry. */
export function isTokenText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= tokenBytesMax && /^[\x21-\x7E]+$/.test(value)
}

/** Whole seconds: a fraction is cut off, so that we never promise more than there is. */
function lifetimeOf(value: unknown, { readsTextualLifetime }: ReplyForm): Seconds | undefined {
  const isText = readsTextualLifetime && typeof value === 'string' && /^\d{1,9}$/.test(value)
  const life = isText ? Number(value) : value
  return isLifetime(life) ? seconds(Math.floor(life)) : undefined
}

/** RFC 6749 §5.1 has a JSON number; every Google reply has one too, so a string is somebody else's answer. */
function isLifetime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 1 && value <= tokenLifeMax
}

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

/** Of the two that Google has a short name for. */
export function fullName(scope: string): string {
  return aliases.get(scope) ?? scope
}

/** Throws `scope_refused` for a grant without a scope: many an upstream then gives all it has. */
export function requireScopes({ scopes }: Pick<Grant, 'scopes'>): void {
  if (scopes.length === 0)
    throw new BrokerError('scope_refused', { reason: 'the grant holds no scope to ask for' })
}
