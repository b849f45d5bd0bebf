import { type Fault, fault } from '../domain/result.ts'
import type { Claims, Json } from '../domain/caller.ts'
import type { Proof } from '../domain/exchange-request.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { epochSeconds, later, seconds, type EpochSeconds } from '../domain/time.ts'

export type ClaimsJudgement =
  | ({ readonly ok: true } & AcceptedClaims)
  | (Fault & {
      /** What its sender may be told once the signature has verified, as the end of a sentence (P37). */
      readonly toldWhenVerified?: string
    })

export interface JudgedAs {
  readonly now: EpochSeconds
  readonly form: Proof['form']
  /** An RFC 9068 access token: it must name its client, and must not be bound to a key. */
  readonly isAccessToken?: boolean
}

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
export const skew = seconds(60)

const identifierLengthMax = 1024
const jtiLengthMax = 256

/**
 * Judges the claims of an assertion of that issuer at that instant: for this broker alone, within the issuer's
 * lifetime, neither expired nor from the future by more than 60 s. The signature is judged elsewhere.
 * Source: RFC 7519 §4.1, RFC 7523 §3 (P3, P4, P5).
 */
export function judgeClaims(
  claims: Claims,
  issuer: TrustedIssuer,
  { now, ...as }: JudgedAs,
): ClaimsJudgement {
  const { iss, sub, jti } = claims
  if (iss !== issuer.issuer) return fault('"iss" is another issuer')
  if (!isIdentifier(sub, identifierLengthMax)) return fault('"sub" is not a string of 1 to 1024 characters')
  if (issuer.selfIssued && sub !== iss) return fault('self-issued, but "sub" is not "iss"')
  const foreign = audienceFault(claims['aud'], issuer, as)
  if (foreign !== undefined) return fault(foreign)
  if (as.isAccessToken === true) {
    if (!isIdentifier(claims['client_id'], identifierLengthMax))
      return fault('an access token without "client_id"')
    // RFC 7800: only whoever has the key may use it, and nothing here asks for a proof of that.
    if (claims['cnf'] !== undefined) return fault('an access token that is bound to a key by "cnf"')
  }
  const times = judgeTimes(claims, now)
  if (typeof times === 'string') return fault(times)
  // Without "iat", which RFC 7523 §3 leaves out, its life is counted from now.
  const life = times.expiresAt - (times.issuedAt ?? now)
  if (life > issuer.lifetimeMax)
    return {
      ...fault(`lives ${life} s, at most ${issuer.lifetimeMax} s allowed`),
      toldWhenVerified: `it lives ${life} s: sign one whose exp is at most ${issuer.lifetimeMax} s ahead`,
    }
  if (issuer.replay === 'allowed') return { ok: true, subject: sub, use: undefined }
  if (!isIdentifier(jti, jtiLengthMax))
    return {
      ...fault('"jti" is not a string of 1 to 256 characters'),
      toldWhenVerified: 'it needs a jti, text of 1 to 256 characters that is new in each JWT',
    }
  return { ok: true, subject: sub, use: { issuer: iss, jti, until: later(times.expiresAt, skew) } }
}

/** Why this entry would refuse claims that were accepted a moment ago, their expiry since then apart. */
export function claimsFault(claims: Claims, issuer: TrustedIssuer, now: EpochSeconds): string | undefined {
  const { exp } = claims
  const judged = judgeClaims(claims, issuer, {
    now: isWholeNumber(exp) && exp < now ? epochSeconds(exp) : now,
    form: 'admin_bearer',
  })
  return judged.ok ? undefined : judged.fault
}

/** Whether it may be an issuer or a subject; checked before an `iss` is looked up. */
export function isIssuerIdentifier(value: Json | undefined): value is string {
  return isIdentifier(value, identifierLengthMax)
}

function isIdentifier(value: Json | undefined, lengthMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= lengthMax
}

/** A second audience could replay the assertion here, or we there (RFC 8725 §3.9, rfc7523bis). */
function audienceFault(
  aud: Json | undefined,
  { audiences, toleratedAudiences = [] }: TrustedIssuer,
  { form }: Pick<JudgedAs, 'form'>,
): string | undefined {
  const all: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  const ours = all.filter((one) => typeof one === 'string' && audiences.includes(one))
  const others = all.filter((one) => !ours.includes(one))
  if (ours.length === 1 && others.length === 0) return undefined
  const fault = '"aud" is not this broker alone'
  if (ours.length !== 1 || form !== 'subject_token') return fault
  const isTolerated = others.every((one) => typeof one === 'string' && toleratedAudiences.includes(one))
  return isTolerated ? undefined : `${fault}: ${audienceCure}`
}

/** The audience fault of a subject token that names this broker and others beside it; `undefined` for any other. */
export function sharedAudienceFault({ aud }: Claims, issuer: TrustedIssuer): string | undefined {
  const isShared = Array.isArray(aud) && aud.some((one) => issuer.audiences.some((ours) => ours === one))
  return isShared ? audienceFault(aud, issuer, { form: 'subject_token' }) : undefined
}

const audienceCure =
  'have the issuer leave the others out (Keycloak: switch "Full scope allowed" of the client off), or name them in tolerated_audiences of its entry'

interface Times {
  readonly expiresAt: EpochSeconds
  readonly issuedAt: EpochSeconds | undefined
}

function judgeTimes({ exp, iat, nbf }: Claims, now: EpochSeconds): Times | string {
  if (!isWholeNumber(exp)) return '"exp" is not an integer'
  if (iat !== undefined && !isWholeNumber(iat)) return '"iat" is not an integer'
  if (nbf !== undefined && !isWholeNumber(nbf)) return '"nbf" is not an integer'
  if (iat !== undefined && exp <= iat) return '"exp" is not after "iat"'
  // Expiry and lifetime together cap the age at lifetimeMax + skew.
  if (now >= exp + skew) return `expired ${now - exp} s ago`
  if (iat !== undefined && iat > now + skew) return `"iat" is ${iat - now} s ahead`
  if (nbf !== undefined && nbf > now + skew) return `"nbf" is ${nbf - now} s ahead`
  return { expiresAt: epochSeconds(exp), issuedAt: iat === undefined ? undefined : epochSeconds(iat) }
}

export function isWholeNumber(value: Json | undefined): value is number {
  return Number.isSafeInteger(value)
}
