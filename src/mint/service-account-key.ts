import { SignJWT } from 'jose'
import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { formatScope } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import { later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { HttpAnswer } from '../ports/http-client.ts'
import type { Credentials } from '../records/credentials.ts'
import type { AskUpstream } from './ask-upstream.ts'
import { judgeAccessToken } from './judge-access-token.ts'
import { createNoteHealth, type NoteHealth, type NoteHealthDeps } from './note-health.ts'
import { parseIdToken, parseReplyMembers, type Judged } from './parse-token-reply.ts'
import { createSigningKeys, type SigningKey } from './signing-keys.ts'
import { judgeFailure, nonsense, type UpstreamFailure } from './upstream-failure.ts'

/** docs/google.md §1.2: what Google checks, wherever the endpoint is configured to be. */
const assertionAudience = 'https://oauth2.googleapis.com/token'
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** Google's clock may be behind ours (docs/google.md §1.2). */
const issuedBefore = seconds(-10)
/** The longest that Google takes. */
const assertionLife = seconds(3600)

export interface ServiceAccountKeyDeps extends NoteHealthDeps {
  readonly ask: AskUpstream
  readonly credentials: Pick<Credentials, 'openSecret' | 'noteHealth'>
  readonly tokenUrl: string
}

/**
 * A token for a service account's own signed assertion (RFC 7523), of the granted scopes or for the granted audience.
 * With the key in memory nothing is read from the store. The reply to an assertion names no scope: the token carries
 * what was signed.
 */
export function createMintFromServiceAccountKey(
  deps: ServiceAccountKeyDeps,
): (grant: Grant, deadlineMs: number) => Promise<MintedToken> {
  const signingKey = createSigningKeys(deps.credentials)
  const noteHealth = createNoteHealth(deps)

  return async (grant, deadlineMs) => {
    const claims = claimsOf(grant)
    const key = await signingKey(grant.credential)
    const assertion = await sign(key, claims, deps.clock.now())
    const reply = await deps.ask({
      url: deps.tokenUrl,
      form: { grant_type: jwtBearer, assertion: assertion.reveal() },
      credential: grant.credential.name,
      repeatable: 'always',
      deadlineMs,
    })
    if (reply.kind !== 'answer' || reply.answer.status !== 200) {
      const failure = judgeFailure(reply, {
        now: deps.clock.now(),
        secrets: [assertion],
        actsForUser: grant.subject !== undefined,
        // Where another version stands by, a key that is not known everywhere yet need not be waited for.
        ...(grant.credential.fallback === undefined ? { versionCreatedAt: key.createdAt } : {}),
      })
      throw await noteFailure(noteHealth, grant, failure)
    }
    const token = judgeReply(grant, reply.answer, reply.sentAt)
    if (!token.ok) throw nonsense(`the token endpoint's reply to an assertion has ${token.fault}`)
    await noteHealth(grant.credential, { status: 'healthy' })
    return token.value
  }
}

type AssertionClaims = Readonly<Record<string, string>>

function claimsOf({
  credential,
  tokenType,
  scopes,
  subject,
  audience,
  boundary = [],
}: Grant): AssertionClaims {
  switch (tokenType) {
    case 'access_token':
      // Never an assertion without a scope.
      if (scopes.length === 0)
        throw new BrokerError('scope_refused', { reason: 'the grant holds no scope to ask for' })
      return { scope: formatScope(scopes), ...(subject === undefined ? {} : { sub: subject }) }
    case 'id_token':
      if (audience === undefined || subject !== undefined || boundary.length > 0)
        throw new BrokerError('target_unavailable', {
          reason: `credential ${credential.name}: an ID token needs an audience, and takes no subject and no boundary`,
        })
      return { target_audience: audience }
    case 'api_key':
      throw new BrokerError('target_unavailable', {
        reason: `credential ${credential.name}: a service-account key gives no API key`,
      })
  }
}

async function sign(key: SigningKey, claims: AssertionClaims, now: EpochSeconds): Promise<Secret> {
  const iat = later(now, issuedBefore)
  const payload = {
    iss: key.clientEmail,
    aud: assertionAudience,
    iat,
    exp: later(iat, assertionLife),
    ...claims,
  }
  const header = { alg: 'RS256', typ: 'JWT', kid: key.keyId }
  return new Secret(await new SignJWT(payload).setProtectedHeader(header).sign(key.key))
}

async function noteFailure(
  noteHealth: NoteHealth,
  { credential }: Grant,
  { error, blamesCredential }: UpstreamFailure,
): Promise<BrokerError> {
  // Nothing is deleted, and the next success says healthy again (P17). Where another version stands by, it is asked
  // next, and what becomes of that is what is noted.
  if (blamesCredential && credential.fallback === undefined)
    await noteHealth(credential, { status: 'broken', reason: error.reason })
  return error
}

function judgeReply(grant: Grant, answer: HttpAnswer, sentAt: EpochSeconds): Judged<MintedToken> {
  const members = parseReplyMembers(answer)
  if (!members.ok) return members
  const { tokenType, audience = '' } = grant
  const drawnFrom = [grant.credential.version]
  if (tokenType === 'access_token')
    return judgeAccessToken(members.value, { asked: grant.scopes, sentAt, drawnFrom })
  const reply = parseIdToken(members.value, { audience, now: sentAt })
  if (!reply.ok) return reply
  const { idToken: secret, expiresAt } = reply.value
  return {
    ok: true,
    value: { secret, tokenType: 'id_token', scopes: [], drawnFrom, issuedAt: sentAt, expiresAt },
  }
}
