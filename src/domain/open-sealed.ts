import { isBrokerError } from './broker-error.ts'
import type { Secret } from './secret.ts'

/**
 * What was sealed at that place, or `undefined`: whatever comes from outside may be anything. Throws
 * `key_ring_unavailable` while the key ring is down, so that nobody is signed out for that.
 */
export async function openSealed(
  keyRing: { readonly open: (sealed: string, place: string) => Promise<Secret> },
  sealed: string,
  place: string,
): Promise<string | undefined> {
  try {
    return (await keyRing.open(sealed, place)).reveal()
  } catch (error) {
    // With `retryAfter` the key ring is down.
    if (isBrokerError(error) && error.retryAfter === undefined) return undefined
    throw error
  }
}
