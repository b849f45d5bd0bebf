import { requireAdmission, BrokerError, type BrokerErrorCode } from '../domain/broker-error.ts'
import { whenReady, type MaybePromise } from '../domain/promises.ts'
import type { Caller } from '../domain/caller.ts'
import type { Proof } from '../domain/exchange-request.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { quote, trimAsciiSpace } from '../domain/text.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { Log } from '../ports/log.ts'
import type { RateLimit } from '../ports/rate-limit.ts'
import { assertionLengthMax, parseCompactJws, type CompactJws } from './compact-jws.ts'
import { personEntry, type SignInAudiences } from './person-entry.ts'
import { createIssuerKeys } from './issuer-keys.ts'
import { isIssuerIdentifier, judgeClaims, type AcceptedClaims, type OneUse } from './judge-claims.ts'
import { createVerifiedAssertions } from './verified-assertions.ts'
import { createVerifySignature } from './verify-signature.ts'

export interface AuthenticateDeps {
  /** The trusted issuer of exactly that `iss`, by the policy in force; a new policy gives new objects. */
  readonly findIssuer: (iss: string) => MaybePromise<TrustedIssuer | undefined>
  /** Whether this is the first sight of that (issuer, jti) until then; throws store_unavailable if it cannot say. */
  readonly rememberOnce: (use: OneUse) => Promise<boolean>
  readonly http: HttpClient
  readonly clock: Clock
  readonly sha256: Sha256
  readonly log: Log
  readonly limits?: CallerLimits
  /** Where people sign in, whose ID tokens administrate; absent where nobody does. */
  readonly signIn?: SignInAudiences | undefined
  /** False on Workers. */
  readonly sharesWork: boolean
}

export interface CallerLimits {
  /** Counts everything that asks, before anything of it is parsed; administrators apart from callers. */
  readonly total?: RateLimit
  /** Counts each caller once it is authenticated, so that no caller can use up another's share. */
  readonly perCaller?: RateLimit
}

/**
 * Turns a proof into the caller who signed it, or throws the rejection of the proof's form. Asks nobody outside
 * before the issuer is known by its exact name and the claims are in order (P9); the signature comes next, and the
 * one use of a `jti` is spent last, so that nothing but a good assertion can spend it. Throws `store_unavailable`
 * when the store cannot say whether it was used, and `caller_throttled`. Source: docs/security.md, P1 to P9.
 */
export function createAuthenticate(deps: AuthenticateDeps): (proof: Proof) => Promise<Caller> {
  const { clock, findIssuer, rememberOnce, limits = {} } = deps
  const verified = createVerifiedAssertions(deps.sha256)
  const verifySignature = createVerifySignature({ keys: createIssuerKeys(deps), verified })

  return async (proof) => {
    const token = trimAsciiSpace(proof.assertion.reveal())
    const remembered = token.length > assertionLengthMax ? undefined : verified.find(token)
    const known = remembered instanceof Promise ? await remembered : remembered
    const jws = known?.jws ?? readAssertion(token, proof)
    const iss = issOf(jws, proof)
    const found = findIssuer(iss)
    const issuer = found instanceof Promise ? await found : found
    if (issuer === undefined) throw rejection(proof, `issuer ${quote(iss)} is not in policy`)
    const isAccessToken = judgeKind(jws, issuer, proof)
    const { subject, use } = readClaims(jws, issuer, { proof, isAccessToken })
    const fault = await verifySignature({ token, jws, issuer, known })
    if (fault !== undefined) throw rejection(proof, `assertion of issuer ${quote(issuer.name)}: ${fault}`)
    // Before the one use is spent: whoever comes too fast may come again with the same assertion.
    if (limits.perCaller !== undefined) {
      const admitted = admit(limits.perCaller, JSON.stringify([issuer.issuer, subject]))
      if (admitted instanceof Promise) await admitted
    }
    if (use !== undefined) judgeSpending(await rememberOnce(use), use, proof)
    return {
      issuer: issuer.issuer,
      issuerName: issuer.name,
      subject,
      claims: jws.claims,
      ...(isAccessToken ? { provedByAccessToken: true } : {}),
    }
  }

  function readClaims(
    { claims }: CompactJws,
    issuer: TrustedIssuer,
    { proof, isAccessToken }: { readonly proof: Proof; readonly isAccessToken: boolean },
  ): AcceptedClaims {
    const judged = judgeClaims(
      claims,
      proof.form === 'admin_bearer' ? personEntry(claims, issuer, deps.signIn) : issuer,
      {
        now: clock.now(),
        form: proof.form,
        isAccessToken,
      },
    )
    if (!judged.ok) throw rejection(proof, `assertion of issuer ${quote(issuer.name)}: ${judged.fault}`)
    // RFC 7521 §4.2: a client_id beside the assertion must name the same client.
    if (proof.clientId !== undefined && proof.clientId !== judged.subject)
      throw new BrokerError('client_assertion_rejected', {
        reason: '"client_id" is not the subject of the assertion',
      })
    return judged
  }

  function judgeSpending(isFirst: boolean, use: OneUse, proof: Proof): void {
    if (!isFirst) throw rejection(proof, `"jti" of issuer ${quote(use.issuer)} was used before`)
    // The memory ends here, so from here on a second use would look like a first one.
    if (clock.now() >= use.until) throw rejection(proof, 'assertion expired while it was verified')
  }
}

/** Counts one more request of this kind against the total. Throws `caller_throttled`. */
export type CountRequest = (kind: 'callers' | 'administrators' | 'introspection') => MaybePromise<void>

export function createCountRequest({ total }: CallerLimits = {}): CountRequest {
  return (kind) => (total === undefined ? undefined : admit(total, kind))
}

function admit(limit: RateLimit, key: string): MaybePromise<void> {
  return whenReady(limit(key), (admission) => requireAdmission(admission, `too many requests of ${key}`))
}

/** Whether it is an access token, which only an issuer's entry lets in, and only at token exchange (P8, T8). */
function judgeKind({ header }: CompactJws, { name, accepts = [] }: TrustedIssuer, proof: Proof): boolean {
  const isAccessToken = isAccessTokenTyp(header.typ) || proof.accessToken === 'access_token'
  if (isAccessToken && !accepts.includes('at+jwt'))
    throw rejection(proof, `an access token, and the entry of issuer ${quote(name)} has no accepts: [at+jwt]`)
  return isAccessToken
}

function issOf({ header, claims: { iss } }: CompactJws, proof: Proof): string {
  const isLetThrough = proof.accessToken !== undefined && isAccessTokenTyp(header.typ)
  if (!isLetThrough && !isAcceptedTyp(header.typ, proof.form))
    throw rejection(proof, '"typ" is of another kind of token')
  if (!isIssuerIdentifier(iss)) throw rejection(proof, '"iss" is not a string of 1 to 1024 characters')
  return iss
}

function readAssertion(token: string, proof: Proof): CompactJws {
  const parsed = parseCompactJws(token)
  if (!parsed.ok) throw rejection(proof, `assertion malformed: ${parsed.fault}`)
  return parsed.jws
}

function rejection(proof: Proof, reason: string): BrokerError {
  return new BrokerError(rejectionCode[proof.form], { reason })
}

const rejectionCode = {
  client_assertion: 'client_assertion_rejected',
  subject_token: 'subject_token_rejected',
  admin_bearer: 'admin_unauthenticated',
} as const satisfies Record<Proof['form'], BrokerErrorCode>

/**
 * Whether a JWT of that `typ` may prove identity in that form: untyped, `JWT` or `JOSE` (as SPIFFE may type its
 * JWT-SVIDs), and a client assertion also when it says that it is one; every other kind of token was made for somebody else (P8).
 * Source: RFC 7515 §4.1.9 (media types, case-insensitive), RFC 8725 §3.11, rfc7523bis §4 (`client-authentication+jwt`).
 */
function isAcceptedTyp(typ: string | undefined, form: Proof['form']): boolean {
  if (typ === undefined || typ === 'JWT') return true
  const kind = kindOf(typ)
  return (
    kind === 'jwt' || kind === 'jose' || (kind === 'client-authentication+jwt' && form === 'client_assertion')
  )
}

/** RFC 9068 §2.1. */
export function isAccessTokenTyp(typ: string | undefined): boolean {
  return kindOf(typ ?? '') === 'at+jwt'
}

function kindOf(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}
