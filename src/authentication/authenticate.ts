import { requireAdmission, BrokerError, type BrokerErrorCode } from '../domain/broker-error.ts'
import type { MaybePromise } from '../domain/promises.ts'
import type { Caller, Json, Claims } from '../domain/caller.ts'
import type { Proof } from '../domain/exchange-request.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { quote, trimAsciiSpace } from '../domain/text.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { RateLimit } from '../ports/rate-limit.ts'
import {
  assertionLengthMax,
  isAcceptedTyp,
  isAccessTokenTyp,
  parseCompactJws,
  type CompactJws,
} from './compact-jws.ts'
import { createIssuerKeys, type RemoteKeysDeps } from './issuer-keys.ts'
import { isIssuerIdentifier, judgeClaims, type OneUse, isWholeNumber, skew } from './judge-claims.ts'
import { createVerifiedAssertions, createVerifySignature } from './verify-signature.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { signingAlgorithms } from '../domain/jwk.ts'
import { type EpochSeconds, seconds } from '../domain/time.ts'

export interface AuthenticateDeps extends RemoteKeysDeps {
  /** The trusted issuer of exactly that `iss`, by the policy in force; a new policy gives new objects. */
  readonly findIssuer: (iss: string) => MaybePromise<TrustedIssuer | undefined>
  /** Whether this is the first sight of that (issuer, jti) until then; throws store_unavailable if it cannot say. */
  readonly rememberOnce: (use: OneUse) => Promise<boolean>
  readonly clock: Clock
  /** The broker's public URL, which refusals name as the audience to sign for. */
  readonly brokerIssuer: string
  readonly sha256: Sha256
  readonly limits?: CallerLimits
  /** Where people sign in, whose ID tokens administrate; absent where nobody does. */
  readonly signIn?: SignInAudiences | undefined
  /** Names of issuers whose JWTs count once and had no `jti` when one last verified; kept up to date here. */
  readonly withoutJti?: Set<string>
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
    const known = token.length > assertionLengthMax ? undefined : await verified.find(token)
    const jws = known?.jws ?? readAssertion(token, proof)
    const iss = issOf(jws, proof)
    const issuer = await findIssuer(iss)
    if (issuer === undefined) throw unverified(jws, proof, `issuer ${quote(iss)} is not in policy`)
    const isAccessToken = isAccessTokenTyp(jws.header.typ) || proof.accessToken === 'access_token'
    if (isAccessToken && issuer.accepts?.includes('at+jwt') !== true)
      throw unverified(
        jws,
        proof,
        `an access token, and the entry of issuer ${quote(issuer.name)} has no accepts: [at+jwt]`,
      )
    const ofIssuer = (fault: string): string => `assertion of issuer ${quote(issuer.name)}: ${fault}`
    const entry = proof.form === 'admin_bearer' ? personEntry(jws.claims, issuer, deps.signIn) : issuer
    const judged = judgeClaims(jws.claims, entry, { now: clock.now(), form: proof.form, isAccessToken })
    if (!judged.ok && judged.toldWhenVerified === undefined)
      throw unverified(jws, proof, ofIssuer(judged.fault))
    const fault = await verifySignature({ token, jws, issuer, known })
    if (fault !== undefined) throw unverified(jws, proof, ofIssuer(judged.ok ? fault : judged.fault))
    const caller = callerOf(jws, issuer, isAccessToken)
    if (entry.replay === 'once' && jws.claims['jti'] === undefined) deps.withoutJti?.add(issuer.name)
    else if (deps.withoutJti !== undefined && deps.withoutJti.size > 0) deps.withoutJti.delete(issuer.name)
    if (!judged.ok) throw rejection(proof, ofIssuer(judged.fault), { told: judged.toldWhenVerified, caller })
    // RFC 7521 §4.2: a client_id beside the assertion must name the same client.
    if (proof.clientId !== undefined && proof.clientId !== caller.subject)
      throw rejection(proof, '"client_id" is not the subject of the assertion', {
        told: 'client_id is not its sub: leave it out',
        caller,
      })
    await spend({ proof, caller, use: proof.isSpent === true ? undefined : judged.use })
    return caller
  }

  /** After the signature, so that nothing but a good assertion spends the rate and the one use of its caller. */
  async function spend({ proof, caller, use }: Spending): Promise<void> {
    // Before the one use is spent: whoever comes too fast may come again with the same assertion.
    if (limits.perCaller !== undefined)
      await admit(limits.perCaller, JSON.stringify([caller.issuer, caller.subject]), caller)
    if (use === undefined) return
    if (!(await rememberOnce(use)))
      throw rejection(proof, `"jti" of issuer ${quote(use.issuer)} was used before`, {
        told: 'it was used before: sign a new one, with a new jti, for each request',
        caller,
      })
    // The memory ends here, so from here on a second use would look like a first one.
    if (clock.now() >= use.until)
      throw rejection(proof, 'assertion expired while it was verified', {
        told: 'it expired meanwhile',
        caller,
      })
  }

  /** The text is the same for each issuer and for none (T10). */
  function unverified(jws: CompactJws, proof: Proof, reason: string): BrokerError {
    const told = visibleFault(jws, { form: proof.form, now: clock.now(), brokerIssuer: deps.brokerIssuer })
    return rejection(proof, reason, { told })
  }

  function issOf(jws: CompactJws, proof: Proof): string {
    const { iss } = jws.claims
    const isLetThrough = proof.accessToken !== undefined && isAccessTokenTyp(jws.header.typ)
    if (!isLetThrough && !isAcceptedTyp(jws.header.typ, proof.form))
      throw unverified(jws, proof, '"typ" is of another kind of token')
    if (!isIssuerIdentifier(iss))
      throw unverified(jws, proof, '"iss" is not a string of 1 to 1024 characters')
    return iss
  }
}

/** Counts one more request of this kind against the total. Throws `caller_throttled`. */
export type CountRequest = (kind: 'callers' | 'administrators' | 'introspection') => Promise<void>

export function createCountRequest({ total }: CallerLimits = {}): CountRequest {
  return async (kind) => {
    if (total !== undefined) await admit(total, kind)
  }
}

interface Spending {
  readonly proof: Proof
  readonly caller: Caller
  readonly use: OneUse | undefined
}

function callerOf(
  { claims }: CompactJws,
  { issuer, name, trustsTraceparent }: TrustedIssuer,
  isAccessToken: boolean,
): Caller {
  // judgeClaims has seen that it is text.
  const subject = typeof claims['sub'] === 'string' ? claims['sub'] : ''
  return {
    issuer,
    issuerName: name,
    subject,
    claims,
    ...(isAccessToken && { provedByAccessToken: true }),
    ...omitUndefined({ trustsTraceparent }),
  }
}

async function admit(limit: RateLimit, key: string, caller?: Caller): Promise<void> {
  requireAdmission(await limit(key), `too many requests of ${key}`, caller)
}

function readAssertion(token: string, proof: Proof): CompactJws {
  const parsed = parseCompactJws(token)
  if (!parsed.ok)
    throw rejection(proof, `assertion malformed: ${parsed.fault}`, {
      told: `it is malformed: ${parsed.fault}`,
    })
  return parsed.value
}

interface Told {
  /** What its sender may read, as the end of a sentence. */
  readonly told?: string | undefined
  /** Once the signature has verified. */
  readonly caller?: Caller
}

function rejection({ form }: Proof, reason: string, { told, caller }: Told): BrokerError {
  return new BrokerError(rejectionCode[form], {
    reason,
    ...(told !== undefined && { publicDetail: `${proofName[form]} is not accepted: ${told}` }),
    ...omitUndefined({ caller }),
  })
}

const proofName = {
  client_assertion: 'the client assertion',
  subject_token: 'the subject token',
  admin_bearer: 'the bearer token',
  bearer: 'the bearer token',
} as const satisfies Record<Proof['form'], string>

const rejectionCode = {
  client_assertion: 'client_assertion_rejected',
  subject_token: 'subject_token_rejected',
  admin_bearer: 'admin_unauthenticated',
  bearer: 'client_assertion_rejected',
} as const satisfies Record<Proof['form'], BrokerErrorCode>

interface VisibleFaultContext {
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
function visibleFault(jws: CompactJws, context: VisibleFaultContext): string | undefined {
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

/** Whom an ID token of a person is for. */
export interface SignInAudiences {
  /** The exact `iss`. */
  readonly issuer: string
  /** The clients that people sign in with. */
  readonly clients: readonly string[]
}

/** Entra ID's live 65 minutes, those of all others an hour at most. */
const personTokenLife = 3_900

/**
 * How the ID token of a person is judged where it administrates: it is for the client that they signed in with, is shown
 * again with each request, and lives as long as issuers let it live. The issuer's entry itself for anything else.
 */
export function personEntry(
  { aud, azp }: Claims,
  issuer: TrustedIssuer,
  signIn: SignInAudiences | undefined,
): TrustedIssuer {
  if (signIn === undefined || issuer.issuer !== signIn.issuer) return issuer
  if (!signIn.clients.some((client) => client === aud && (azp ?? client) === client)) return issuer
  const lifetimeMax = seconds(Math.max(issuer.lifetimeMax, personTokenLife))
  return { ...issuer, audiences: signIn.clients, replay: 'allowed', lifetimeMax }
}
