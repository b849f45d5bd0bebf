import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'

/** Whom the granted ID token is for; `target_unavailable` where it should do what no ID token can. */
export function requireIdTokenAudience({ credential, audience, subject, boundary = [] }: Grant): string {
  if (audience === undefined || subject !== undefined || boundary.length > 0)
    throw new BrokerError('target_unavailable', {
      reason: `credential ${credential.name}: an ID token needs an audience, and takes no subject and no boundary`,
    })
  return audience
}
