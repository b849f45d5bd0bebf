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
import { sign, type SignDeps } from './sign.ts'
import { decodeBase64 } from '../domain/signable.ts'
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

export type SignAs = (task: UserTask) => Promise<MintedToken>

/** Signatures of an account of which no key is stored: Google makes them (signBlob, signJwt). */
export function createSignAs(deps: SignDeps & Pick<MintForUserDeps, 'askIamCredentials'>): SignAs {
  return async (task) => {
    const { grant, account } = task
    const actedBy: string[] = []
    const ask = async (operation: 'signBlob' | 'signJwt', payload: string) => {
      const answer = await deps.askIamCredentials({ ...task, operation, body: { payload } })
      actedBy.push(...answer.actedBy)
      const { keyId } = answer.members
      if (typeof keyId !== 'string') throw invalidResponse(`the reply to ${operation} has no usable keyId`)
      return { keyId, members: answer.members }
    }
    return sign(
      deps,
      {
        account: account.serviceAccount,
        drawnFrom: () => [grant.credential.version, ...actedBy],
        signText: async (text) => {
          const { keyId, members } = await ask('signBlob', btoa(text))
          const { signedBlob } = members
          if (typeof signedBlob !== 'string' || decodeBase64(signedBlob) === undefined)
            throw invalidResponse('the reply to signBlob has no usable signedBlob')
          return { keyId, signature: signedBlob }
        },
        signJwt: async (claims) => {
          const { keyId, members } = await ask('signJwt', JSON.stringify(claims))
          return { keyId, signature: readSigned(members['signedJwt'], claims).reveal() }
        },
      },
      grant,
    )
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
function readSigned(signedJwt: unknown, claims: object): Secret {
  if (!isTokenText(signedJwt)) throw invalidResponse('the reply to signJwt has no usable signedJwt')
  if (!isSame(signedJwt, claims))
    throw invalidResponse('the reply to signJwt has another assertion than was asked for')
  return new Secret(signedJwt)
}

function isSame(jwt: string, claims: object): boolean {
  try {
    const signed = decodeJwt(jwt)
    const wanted: readonly [string, unknown][] = Object.entries(claims)
    return (
      Object.keys(signed).length === wanted.length && wanted.every(([name, value]) => signed[name] === value)
    )
  } catch {
    return false
  }
}
