import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { formatScope } from '../domain/scopes.ts'
import { later } from '../domain/time.ts'
import type { MintBy, MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import { requireOwnIdentity } from './impersonator-token.ts'
import { requireIdTokenAudience, judgeIdToken } from './exchange-assertion.ts'
import { carriedScopes, requireScopes } from '../oauth/token-response.ts'
import type { RecordHealth } from './record-health.ts'
import type { MintForUser, SignAs } from './sign.ts'
import { invalidResponse } from '../oauth/upstream-failure.ts'

export interface BrokerIdentityDeps {
  /** Absent when the broker has no Google identity. */
  readonly ownIdentity?: OwnIdentity
  readonly clock: Clock
  readonly mintForUser: MintForUser
  readonly signAs: SignAs
  readonly noteHealth: RecordHealth
}

/**
 * A token of the broker itself, for which nothing is stored: of the granted scopes, for the granted audience, or, by
 * domain-wide delegation, for the granted user. A platform that gives more than was asked is refused, and the reason
 * says what to do instead.
 */
export function createMintFromBrokerIdentity(deps: BrokerIdentityDeps): MintBy {
  return async (grant, deadlineMs) => {
    const identity = requireOwnIdentity(deps.ownIdentity, grant.credential.name)
    const token = await mintFrom(identity, deps, { grant, deadlineMs })
    await deps.noteHealth(grant.credential, { status: 'healthy' })
    return token
  }
}

async function mintFrom(
  identity: OwnIdentity,
  { clock, mintForUser, signAs }: BrokerIdentityDeps,
  task: { readonly grant: Grant; readonly deadlineMs: number },
): Promise<MintedToken> {
  const { credential, tokenType, subject } = task.grant
  if (tokenType === 'id_token') return await idToken(identity, clock, task.grant)
  const ownAccount = async () => ({ serviceAccount: await identity.serviceAccount(), delegates: [] })
  if (tokenType === 'signature') return await signAs({ ...task, account: await ownAccount() })
  if (tokenType !== 'access_token')
    throw new BrokerError('target_unavailable', {
      reason: `credential ${credential.name}: the broker's own identity gives no ${tokenType}`,
    })
  // Without a scope a platform gives all it has.
  requireScopes(task.grant)
  if (subject === undefined) return await accessToken(identity, clock, task.grant)
  return await mintForUser({ ...task, account: await ownAccount() })
}

async function accessToken(identity: OwnIdentity, clock: Clock, grant: Grant): Promise<MintedToken> {
  const { scopes, credential } = grant
  const issuedAt = clock.now()
  const { secret, lifetime, scopes: told = scopes } = await identity.accessToken(scopes)
  const carried = carriedScopes(scopes, told)
  if (carried === undefined)
    throw new BrokerError('target_unavailable', {
      reason:
        `credential ${credential.name}: this platform gave a token of ${formatScope(told)} where ` +
        `${formatScope(scopes)} was asked for. Compute Engine gives what the machine was made with, whatever is ` +
        'asked: enrol an impersonation of the account instead, which narrows',
    })
  if (carried.length === 0)
    throw invalidResponse("the platform's token has none of the scopes that were asked for")
  return {
    secret,
    tokenType: 'access_token',
    scopes: carried,
    drawnFrom: [credential.version],
    issuedAt,
    expiresAt: later(issuedAt, lifetime),
  }
}

async function idToken(identity: OwnIdentity, clock: Clock, grant: Grant): Promise<MintedToken> {
  const audience = requireIdTokenAudience(grant)
  const sentAt = clock.now()
  const given = await identity.idToken(audience)
  const drawnFrom = [grant.credential.version]
  const token = judgeIdToken({ id_token: given.reveal() }, { audience, sentAt, drawnFrom })
  if (!token.ok) throw invalidResponse(`the platform gave ${token.fault}`)
  return token.value
}
