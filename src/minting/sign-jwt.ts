import { decodeJwt } from 'jose'
import { assertionAudience, assertionLife } from '../domain/google.ts'
import type { Grant } from '../domain/grant.ts'
import { formatScope } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import { later, type EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { ExchangeAssertion } from './exchange-assertion.ts'
import type { ImpersonationTarget } from '../google/iam-credentials.ts'
import type { CallIamCredentials } from './impersonator-token.ts'
import { isTokenText } from '../oauth/token-response.ts'
import { invalidResponse } from '../oauth/upstream-failure.ts'

export interface MintForUserDeps {
  readonly clock: Clock
  readonly askIamCredentials: CallIamCredentials
  readonly exchangeAssertion: ExchangeAssertion
}

export interface UserTask {
  /** With a subject. */
  readonly grant: Grant
  /** Who has domain-wide delegation. */
  readonly account: ImpersonationTarget
  readonly deadlineMs: number
}

export type MintForUser = (task: UserTask) => Promise<MintedToken>

/**
 * A user's token by domain-wide delegation where no key is stored: Google itself signs the account's assertion
 * (signJwt), and the token endpoint takes it like one of a key.
 */
export function createMintForUser({
  clock,
  askIamCredentials,
  exchangeAssertion,
}: MintForUserDeps): MintForUser {
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
    return await exchangeAssertion({
      grant,
      assertion,
      drawnFrom: [grant.credential.version, ...actedBy],
      deadlineMs,
    })
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
    // signJwt would sign twelve hours.
    exp: later(now, assertionLife),
  }
}

/** What was signed is what was asked: the token would carry whatever else is in it. */
function readSigned(signedJwt: unknown, claims: Claims): Secret {
  if (!isTokenText(signedJwt)) throw invalidResponse('the reply to signJwt has no usable signedJwt')
  if (!isSame(signedJwt, claims))
    throw invalidResponse('the reply to signJwt has another assertion than was asked for')
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
