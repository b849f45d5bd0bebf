import { isBrokerError } from '../domain/broker-error.ts'
import type { Connection } from '../domain/connection.ts'
import { isSameAccount, type Account } from '../domain/credential.ts'
import { parseJsonObject } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import { epochSeconds, type EpochSeconds } from '../domain/time.ts'
import { connectionPlace, type ConnectionRecord } from '../records/connections.ts'
import type { ConnectDeps } from './connect-deps.ts'
import { eachCredential } from '../records/credentials.ts'

/** The refresh token that waits for its connection to be finished. */
export async function openGrant(
  { keyRing }: Pick<ConnectDeps, 'keyRing'>,
  { id, sealedGrant }: ConnectionRecord,
): Promise<{ readonly refreshToken: Secret; readonly endsAt?: EpochSeconds } | undefined> {
  if (sealedGrant === undefined) return undefined
  const members = parseJsonObject((await keyRing.open(sealedGrant, connectionPlace(id, 'grant'))).reveal())
  const { refreshToken, endsAt } = members ?? {}
  if (typeof refreshToken !== 'string') return undefined
  return {
    refreshToken: new Secret(refreshToken),
    ...(typeof endsAt === 'number' && { endsAt: epochSeconds(endsAt) }),
  }
}

export interface EndConnections {
  /** T16: whatever is not finished of those ends now, and what came of it is given back. */
  readonly end: (which: (connection: Connection) => boolean, reason: string) => Promise<void>
  /** Gives back what was consented to and never finished; for maintenance. */
  readonly tidy: () => Promise<void>
}

export function createEndConnections(deps: ConnectDeps): EndConnections {
  const { connections, clock } = deps

  const endOne = async (found: ConnectionRecord, reason: string | undefined): Promise<void> => {
    let ended: ConnectionRecord | undefined
    await connections.change(found.id, (before) => {
      ended = before
      if (before.state !== 'pending' && before.state !== 'consented') return before
      const { sealedGrant: _grant, flow: _flow, ...rest } = before
      return reason === undefined ? rest : { ...rest, state: 'rejected', reason }
    })
    const grant = ended === undefined ? undefined : await openGrant(deps, ended)
    if (grant !== undefined) await giveBackTokens(deps, found, { ...grant, account: ended?.account })
  }
  const each = async (work: (found: ConnectionRecord) => Promise<void>): Promise<void> => {
    let after: string | undefined
    do {
      const page = await connections.list(after)
      for (const found of page.connections) await work(found)
      after = page.next
    } while (after !== undefined)
  }

  return {
    end: (which, reason) =>
      each(async (found) => {
        const isOpen = found.state === 'pending' || found.state === 'consented'
        if (isOpen && which(found)) await endOne(found, reason)
      }),
    tidy: () =>
      each(async (found) => {
        if (found.sealedGrant !== undefined && clock.now() >= found.expiresAt) await endOne(found, undefined)
      }),
  }
}

/**
 * Revokes upstream a grant that is not enrolled (T19), unless a credential of ours holds the same grant: to revoke one
 * refresh token ends all of its client and account (docs/google.md §1.5). What fails is logged and hurts nobody.
 */
export async function giveBackTokens(
  deps: ConnectDeps,
  { client: credential, upstream, id }: Connection,
  { refreshToken, account }: { readonly refreshToken: Secret; readonly account: Account | undefined },
): Promise<void> {
  try {
    if (await isHeldElsewhere(deps, credential, account)) return
    const reached = await deps.reach(upstream)
    const client = await deps.clientOf(credential, upstream, 'give_back')
    await deps.giveBack({ reached, client, credential, refreshToken })
  } catch (error) {
    const reason = isBrokerError(error) ? error.reason : 'a bug'
    deps.log('warn', 'a grant that is not enrolled could not be revoked', {
      connection: id,
      upstream,
      reason,
    })
  }
}

async function isHeldElsewhere(
  { credentials }: ConnectDeps,
  client: string,
  account: Account | undefined,
): Promise<boolean> {
  if (account === undefined) return false
  for await (const one of eachCredential(credentials))
    if (one.source === client && isSameAccount(account, one.account)) return true
  return false
}
