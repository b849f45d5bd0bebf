import type { Json } from '../domain/caller.ts'
import type { Proof } from '../domain/exchange-request.ts'
import { signingAlgorithms } from '../domain/jwk.ts'
import type { EpochSeconds } from '../domain/time.ts'
import { isAcceptedTyp, isAccessTokenTyp, type CompactJws } from './compact-jws.ts'
import { isIssuerIdentifier, isWholeNumber, skew } from './judge-claims.ts'

export interface VisibleFaultContext {
  readonly form: Proof['form']
  readonly now: EpochSeconds
  /** The broker's public URL. */
  readonly brokerIssuer: string
}

/**
 * What anybody who holds the JWT can see is wrong with it, as the end of a sentence that names the cure; `undefined`
 * when it looks right. A function of the JWT, the clock and the broker's public URL alone, so that it says nothing of
 * the policy, and it repeats no text of the JWT (P37, T10).
 */
export function visibleFault(jws: CompactJws, context: VisibleFaultContext): string | undefined {
  return headerFault(jws, context) ?? claimFault(jws, context) ?? timeFault(jws, context)
}

function headerFault({ header }: CompactJws, { form }: VisibleFaultContext): string | undefined {
  // Some issuers' access tokens are accepted as subject tokens, and of which issuers is policy.
  const mayBeAccepted = form === 'subject_token' && isAccessTokenTyp(header.typ)
  if (!mayBeAccepted && !isAcceptedTyp(header.typ, form))
    return 'its typ is that of another kind of token: sign a JWT of typ JWT, or without a typ'
  const isAsymmetric = header.alg === 'Ed25519' || signingAlgorithms.some((name) => name === header.alg)
  return isAsymmetric
    ? undefined
    : 'its alg is not accepted from anybody: sign with a private key, by RS256, PS256, ES256 or EdDSA'
}

function claimFault({ claims }: CompactJws, { brokerIssuer }: VisibleFaultContext): string | undefined {
  const { iss, sub, aud } = claims
  if (!isIssuerIdentifier(iss)) return `its iss ${missingOr(iss, 'is not text of 1 to 1024 characters')}`
  if (!isIssuerIdentifier(sub)) return `its sub ${missingOr(sub, 'is not text of 1 to 1024 characters')}`
  const only: unknown = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  if (only === brokerIssuer) return undefined
  return `its aud ${missingOr(aud, 'is another')}: sign with the aud ${brokerIssuer} alone`
}

function timeFault({ claims }: CompactJws, { now }: VisibleFaultContext): string | undefined {
  const { exp, iat, nbf } = claims
  const notNumber = 'is not a whole number of seconds since 1970'
  if (!isWholeNumber(exp)) return `its exp ${missingOr(exp, notNumber)}`
  if (iat !== undefined && !isWholeNumber(iat)) return `its iat ${notNumber}`
  if (nbf !== undefined && !isWholeNumber(nbf)) return `its nbf ${notNumber}`
  if (iat !== undefined && exp <= iat)
    return 'its exp is not after its iat: sign one that ends later than it begins'
  if (now >= exp + skew)
    return `it expired ${now - exp} s ago: get a new one for each request, or set the clock`
  if (iat !== undefined && iat > now + skew)
    return `its iat is ${iat - now} s ahead: set the clock of its signer`
  if (nbf !== undefined && nbf > now + skew) return `its nbf is ${nbf - now} s ahead: wait, or set the clock`
  return undefined
}

function missingOr(value: Json | undefined, fault: string): string {
  return value === undefined ? 'is missing' : fault
}
