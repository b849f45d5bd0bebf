import type { Connection } from '../domain/connection.ts'
import type { ConnectDeps } from './connect-deps.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** The audit record of what somebody answered to a request for consent (P27). */
export async function noteConsent(
  { audit, clock }: Pick<ConnectDeps, 'audit' | 'clock'>,
  { state, name, reason, account, granted, scopes, upstream }: Connection,
  requestId: string,
): Promise<void> {
  const isConsent = state === 'consented'
  await audit({
    requestId,
    at: clock.now(),
    action: 'connection.consent',
    outcome: isConsent ? 'done' : 'refused',
    credential: name,
    scopesAsked: scopes,
    ...omitUndefined({ scopesIssued: granted }),
    ...(account === undefined ? {} : { target: `${account.issuer}/${account.subject}` }),
    ...(isConsent ? {} : { reason: reason ?? `no consent at ${upstream}` }),
    durationMs: 0,
  })
}
