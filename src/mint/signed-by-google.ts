import { decodeJwt } from 'jose'
import { formatScope } from '../domain/scopes.ts'
import type { Grant } from '../domain/grant.ts'
import { Secret } from '../domain/secret.ts'
import { later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { AskUpstream } from './ask-upstream.ts'
import type { ActedFor, AskIamCredentials } from './iam-credentials.ts'
import { judgeAccessToken } from './judge-access-token.ts'
import type { NoteHealth } from './note-health.ts'
import { isTokenText, parseReplyMembers } from './parse-token-reply.ts'
import { judgeFailure, nonsense } from './upstream-failure.ts'

/** docs/google.md §1.2: what Google checks, wherever the endpoint is configured to be. */
const assertionAudience = 'https://oauth2.googleapis.com/token'
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** The longest that the token endpoint takes; signJwt would sign twelve hours. */
const assertionLife = seconds(3600)

export interface MintForUserDeps {
  readonly ask: AskUpstream
  readonly clock: Clock
  readonly askIamCredentials: AskIamCredentials
  readonly noteHealth: NoteHealth
  readonly tokenUrl: string
}

export interface UserTask {
  /** With a subject. */
  readonly grant: Grant
  /** Who has domain-wide delegation. */
  readonly account: ActedFor
  readonly deadlineMs: number
}

export type MintForUser = (task: UserTask) => Promise<MintedToken>

/**
 * A user's token by domain-wide delegation where no key is stored: Google itself signs the account's assertion
 * (signJwt), and the token endpoint takes it like one of a key. The reply names no scope: the token carries what was
 * signed.
 */
export function createMintForUser(deps: MintForUserDeps): MintForUser {
  const { ask, clock, askIamCredentials, noteHealth, tokenUrl } = deps
  return async (task) => {
    const { grant, account, deadlineMs } = task
    const claims = claimsOf(task, clock.now())
    const { members, actedBy } = await askIamCredentials({
      grant,
      account,
      deadlineMs,
      operation: 'signJwt',
      body: { payload: JSON.stringify(claims) },
    })
    const assertion = readSigned(members['signedJwt'], claims)
    const reply = await ask({
      url: tokenUrl,
      form: { grant_type: jwtBearer, assertion: assertion.reveal() },
      credential: grant.credential.name,
      repeatable: 'always',
      deadlineMs,
    })
    if (reply.kind !== 'answer' || reply.answer.status !== 200) {
      const context = { now: clock.now(), secrets: [assertion], actsForUser: true }
      const { error, blamesCredential } = judgeFailure(reply, context)
      if (blamesCredential && grant.credential.fallback === undefined)
        await noteHealth(grant.credential, { status: 'broken', reason: error.reason })
      throw error
    }
    const reading = parseReplyMembers(reply.answer)
    const drawnFrom = [grant.credential.version, ...actedBy]
    const asked = { asked: grant.scopes, sentAt: reply.sentAt, drawnFrom }
    const token = reading.ok ? judgeAccessToken(reading.value, asked) : reading
    if (!token.ok) throw nonsense(`the token endpoint's reply to a signed assertion has ${token.fault}`)
    return token.value
  }
}

interface Claims {
  readonly iss: string
  readonly sub: string | undefined
  readonly scope: string
  readonly aud: string
  readonly iat: EpochSeconds
  readonly exp: EpochSeconds
}

function claimsOf({ grant, account }: UserTask, now: EpochSeconds): Claims {
  return {
    iss: account.serviceAccount,
    sub: grant.subject,
    scope: formatScope(grant.scopes),
    aud: assertionAudience,
    iat: now,
    exp: later(now, assertionLife),
  }
}

/** What was signed is what was asked: the token would carry whatever else is in it. */
function readSigned(signedJwt: unknown, claims: Claims): Secret {
  if (!isTokenText(signedJwt)) throw nonsense('the reply to signJwt has no usable signedJwt')
  if (!isSame(signedJwt, claims))
    throw nonsense('the reply to signJwt has another assertion than was asked for')
  return new Secret(signedJwt)
}

function isSame(jwt: string, claims: Claims): boolean {
  try {
    const signed = decodeJwt(jwt)
    const wanted = Object.entries(claims)
    return (
      Object.keys(signed).length === wanted.length && wanted.every(([name, value]) => signed[name] === value)
    )
  } catch {
    return false
  }
}
