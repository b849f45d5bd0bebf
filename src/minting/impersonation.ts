import { unusableCredential, BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { epochSeconds, later, seconds, until, type EpochSeconds, type Seconds } from '../domain/time.ts'
import { fault } from '../domain/result.ts'
import type { Members } from '../domain/json.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { MintBy, MintedToken } from '../domain/token.ts'
import type { Credentials } from '../records/credentials.ts'
import { readGeneratedToken, type ImpersonationTarget } from '../google/iam-credentials.ts'
import type { CallIamCredentials } from './impersonator-token.ts'
import { judgeIdToken, requireIdTokenAudience } from './exchange-assertion.ts'
import type { RecordHealth } from './record-health.ts'
import { requireScopes, type Judged } from '../oauth/token-response.ts'
import type { MintForUser, SignAs } from './sign.ts'
import { invalidResponse } from '../oauth/upstream-failure.ts'
import { createOncePerVersion, type VersionName } from '../domain/recently-used.ts'

/** What Google gives where no organisation policy allows more (docs/google.md §3.1). */
const usualLife = seconds(3600)

export interface ImpersonationDeps {
  readonly credentials: Pick<Credentials, 'openSecret'>
  readonly askIamCredentials: CallIamCredentials
  readonly mintForUser: MintForUser
  readonly signAs: SignAs
  readonly noteHealth: RecordHealth
}

/**
 * A token of a service account that somebody else may act for, so that no key of it is stored: of the granted scopes
 * and the granted life, for the granted audience, or, by domain-wide delegation, for the granted user. With the account
 * in memory nothing is read from the store.
 */
export function createMintByImpersonation(deps: ImpersonationDeps): MintBy {
  const actedFor = createImpersonationTarget(deps.credentials)

  return async (grant, deadlineMs) => {
    const account = await actedFor(grant.credential)
    const token = await mintAs(deps, { grant, account, deadlineMs })
    await deps.noteHealth(grant.credential, { status: 'healthy' })
    return token
  }
}

interface Task {
  readonly grant: Grant
  readonly account: ImpersonationTarget
  readonly deadlineMs: number
}

async function mintAs(deps: ImpersonationDeps, task: Task): Promise<MintedToken> {
  const { grant } = task
  if (grant.tokenType === 'id_token') return await idToken(deps, task)
  if (grant.tokenType === 'signature') return await deps.signAs(task)
  if (grant.tokenType !== 'access_token')
    throw new BrokerError('target_unavailable', {
      reason: `credential ${grant.credential.name}: impersonation gives no ${grant.tokenType}`,
    })
  // Never a token without a scope.
  requireScopes(grant)
  return await (grant.subject === undefined ? accessToken(deps, task) : deps.mintForUser(task))
}

/** The reply names no scope: the token carries what was asked for. */
async function accessToken({ askIamCredentials }: ImpersonationDeps, task: Task): Promise<MintedToken> {
  const { scopes, credential, lifetime = usualLife } = task.grant
  const { members, sentAt, actedBy } = await askIamCredentials({
    ...task,
    operation: 'generateAccessToken',
    body: { scope: scopes, lifetime: `${lifetime}s` },
  })
  const drawnFrom = [credential.version, ...actedBy]
  const token = judgeGeneratedToken(members, { scopes, lifetime, sentAt, drawnFrom })
  if (!token.ok) throw invalidResponse(`the reply to generateAccessToken has ${token.fault}`)
  return token.value
}

async function idToken({ askIamCredentials }: ImpersonationDeps, task: Task): Promise<MintedToken> {
  const { grant, account } = task
  const audience = requireIdTokenAudience(grant)
  const { members, sentAt, actedBy } = await askIamCredentials({
    ...task,
    operation: 'generateIdToken',
    body: { audience, includeEmail: true },
  })
  const drawnFrom = [grant.credential.version, ...actedBy]
  const token = judgeIdToken(
    { id_token: members['token'] },
    { audience, email: account.serviceAccount, sentAt, drawnFrom },
  )
  if (!token.ok) throw invalidResponse(`the reply to generateIdToken has ${token.fault}`)
  return token.value
}

/** Google's clock may be ahead of ours, and its answer under way. */
const skewMax = 60

export interface GeneratedTokenAsked {
  readonly scopes: ScopeSet
  readonly lifetime: Seconds
  readonly sentAt: EpochSeconds
  readonly drawnFrom: readonly string[]
}

/**
 * The token of a reply to generateAccessToken, if it lives no longer than was asked for; by our clock it ends no later
 * than that, and no later than it says. A fault names the member and never its value.
 */
export function judgeGeneratedToken(
  members: Members,
  { scopes, lifetime, sentAt, drawnFrom }: GeneratedTokenAsked,
): Judged<MintedToken> {
  const generated = readGeneratedToken(members)
  if (!generated.ok) return generated
  const { token, endsAt } = generated.value
  const life = until(endsAt, sentAt)
  if (life > lifetime + skewMax)
    return fault(`a token that lives ${life} s where ${lifetime} s were asked for`)
  if (!(life >= 1)) return fault("an expireTime that is past by the broker's clock")
  return {
    ok: true,
    value: {
      secret: token,
      tokenType: 'access_token',
      scopes,
      drawnFrom,
      issuedAt: sentAt,
      expiresAt: epochSeconds(Math.min(endsAt, later(sentAt, lifetime))),
    },
  }
}

/** Credential versions in use at once, some hundred bytes each. */
const accountsMax = 1000

/**
 * The service account that a version of an impersonating credential acts for, kept: there is no secret in it. Throws
 * what `openSecret` throws.
 */
function createImpersonationTarget(
  credentials: Pick<Credentials, 'openSecret'>,
): (version: VersionName) => Promise<ImpersonationTarget> {
  return createOncePerVersion(accountsMax, async ({ name, version }) => {
    const { secret } = await credentials.openSecret(name, version)
    if (secret.kind !== 'impersonation') throw unusableCredential(name, 'names no account to act for')
    const { serviceAccount, delegates } = secret
    return { serviceAccount, delegates }
  })
}
