import type { Claims, Json } from '../domain/caller.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { epochSeconds, later, seconds, type EpochSeconds } from '../domain/time.ts'

export type ClaimsJudgement =
  | ({ readonly ok: true } & AcceptedClaims)
  | { readonly ok: false; readonly fault: string }

export interface AcceptedClaims {
  readonly subject: string
  /** Absent where replay is allowed. */
  readonly use: OneUse | undefined
}

/** What must be remembered so that the assertion is accepted once. */
export interface OneUse {
  readonly issuer: string
  readonly jti: string
  readonly until: EpochSeconds
}

/** How far the clocks of caller and broker may differ, in both directions (P5). */
const skew = seconds(60)

const identifierLengthMax = 1024
const jtiLengthMax = 256

/**
 * Judges the claims of an assertion of that issuer at that instant: for this broker alone, within the issuer's
 * lifetime, neither expired nor from the future by more than 60 s. The signature is judged elsewhere.
 * Source: RFC 7519 §4.1, RFC 7523 §3 (P3, P4, P5).
 */
export function judgeClaims(claims: Claims, issuer: TrustedIssuer, now: EpochSeconds): ClaimsJudgement {
  const { iss, sub, jti } = claims
  if (iss !== issuer.issuer) return fault('"iss" is another issuer')
  if (!isIdentifier(sub, identifierLengthMax)) return fault('"sub" is not a string of 1 to 1024 characters')
  if (issuer.selfIssued && sub !== iss) return fault('self-issued, but "sub" is not "iss"')
  if (!isForUsAlone(claims['aud'], issuer)) return fault('"aud" is not this broker alone')
  const times = judgeTimes(claims, issuer, now)
  if (typeof times === 'string') return fault(times)
  if (issuer.replay === 'allowed') return { ok: true, subject: sub, use: undefined }
  if (!isIdentifier(jti, jtiLengthMax)) return fault('"jti" is not a string of 1 to 256 characters')
  return { ok: true, subject: sub, use: { issuer: iss, jti, until: later(times.expiresAt, skew) } }
}

/** Why claims that were accepted a moment ago are not, if they are not; that they have ended since is no reason. */
export function claimsFault(claims: Claims, issuer: TrustedIssuer, now: EpochSeconds): string | undefined {
  const { exp } = claims
  const judged = judgeClaims(claims, issuer, isWholeNumber(exp) && exp < now ? epochSeconds(exp) : now)
  return judged.ok ? undefined : judged.fault
}

/** Whether it can name somebody: also the test to pass before an `iss` is looked up. */
export function isIssuerIdentifier(value: Json | undefined): value is string {
  return isIdentifier(value, identifierLengthMax)
}

function isIdentifier(value: Json | undefined, lengthMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= lengthMax
}

// A second audience could replay the assertion here, or we there (RFC 8725 §3.9, rfc7523bis).
function isForUsAlone(aud: Json | undefined, issuer: TrustedIssuer): boolean {
  const only: unknown = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  return typeof only === 'string' && issuer.audiences.includes(only)
}

function judgeTimes(
  { exp, iat, nbf }: Claims,
  issuer: TrustedIssuer,
  now: EpochSeconds,
): { readonly expiresAt: EpochSeconds } | string {
  if (!isWholeNumber(exp)) return '"exp" is not an integer'
  if (!isWholeNumber(iat)) return '"iat" is not an integer'
  if (nbf !== undefined && !isWholeNumber(nbf)) return '"nbf" is not an integer'
  if (exp <= iat) return '"exp" is not after "iat"'
  if (exp - iat > issuer.lifetimeMax) return `lives ${exp - iat} s, at most ${issuer.lifetimeMax} s allowed`
  // Expiry and lifetime together cap the age at lifetimeMax + skew.
  if (now >= exp + skew) return `expired ${now - exp} s ago`
  if (iat > now + skew) return `"iat" is ${iat - now} s ahead`
  if (nbf !== undefined && nbf > now + skew) return `"nbf" is ${nbf - now} s ahead`
  return { expiresAt: epochSeconds(exp) }
}

function isWholeNumber(value: Json | undefined): value is number {
  return Number.isSafeInteger(value)
}

function fault(text: string): ClaimsJudgement {
  return { ok: false, fault: text }
}
