import { isBrokerError, type BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Log } from '../ports/log.ts'

/**
 * Mints, and where the active version is refused once more from the version that stands by: after a rotation some of
 * the upstream's servers may not know the new secret yet (P28). When both fail it throws what the active one did.
 */
export async function withStandby(
  log: Log,
  grant: Grant,
  mint: (grant: Grant) => Promise<MintedToken>,
): Promise<MintedToken> {
  const former = drawingOnStandby(grant)
  if (former === undefined) return mint(grant)
  try {
    return await mint(grant)
  } catch (error) {
    if (!isRefusal(error)) throw error
    const token = await orThrow(error, mint(former))
    const { name, version, standby } = grant.credential
    log('warn', 'the active version was refused; the one that stands by minted', {
      credential: name,
      version,
      standby,
      reason: error.reason,
    })
    return token
  }
}

function drawingOnStandby(grant: Grant): Grant | undefined {
  const { standby, ...credential } = grant.credential
  return standby === undefined ? undefined : { ...grant, credential: { ...credential, version: standby } }
}

/** Of the credential, not of the network: an outage is not asked about twice (P21). */
function isRefusal(error: unknown): error is BrokerError {
  return isBrokerError(error) && error.code === 'target_unavailable'
}

async function orThrow(first: BrokerError, second: Promise<MintedToken>): Promise<MintedToken> {
  try {
    return await second
  } catch (error) {
    throw isBrokerError(error) ? first : error
  }
}
