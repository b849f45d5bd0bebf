import type { Reading } from '../domain/result.ts'
import type { Connection } from '../domain/connection.ts'
import type { CredentialSummary, OAuthClient } from '../domain/credential.ts'
import type { Caller } from '../domain/caller.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import type { RedeemedCode } from '../oauth/redeem-code.ts'
import type { ResolvedUpstream } from '../oauth/resolve-upstream.ts'
import type { AuditTrail, Log } from '../ports/log.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy, Sha256 } from '../ports/entropy.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { Connections } from '../records/connections.ts'
import type { Credentials } from '../records/credentials.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

interface ClientAtUpstream {
  readonly reached: ResolvedUpstream
  readonly client: OAuthClient
  /** The name of the credential that the client is. */
  readonly credential: string
}

export interface ConnectDeps {
  /** The broker's own public URL. */
  readonly issuer: string
  readonly connections: Connections
  readonly credentials: Pick<Credentials, 'find' | 'connect' | 'list'>
  /** The client that a credential is. Throws `target_unavailable`. */
  readonly clientOf: (credential: string, upstream: string, use?: 'give_back') => Promise<OAuthClient>
  /** Throws `target_unavailable`, `upstream_unavailable` and `upstream_nonsense`. */
  readonly reach: (upstream: string) => Promise<ResolvedUpstream>
  readonly redeem: (
    code: ClientAtUpstream & {
      readonly code: Secret
      readonly verifier: Secret
      readonly redirectUri: string
    },
  ) => Promise<RedeemedCode>
  readonly giveBack: (grant: ClientAtUpstream & { readonly refreshToken: Secret }) => Promise<unknown>
  readonly readScopes: (upstream: string, words: readonly string[]) => Reading<ScopeSet>
  /** The names of the rules that want more of a credential than these scopes. */
  readonly rulesBeyond: (credential: CredentialSummary, scopes: ScopeSet) => Promise<readonly string[]>
  /** Why nothing of that person goes on: the service is stopped, or they are blocked. */
  readonly whyStopped: (startedBy: Connection['startedBy']) => Promise<string | undefined>
  readonly http: HttpClient
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
  readonly sha256: Sha256
  readonly clock: Clock
  readonly entropy: Entropy
  readonly audit: AuditTrail
  readonly log: Log
}

/** Whoever asks, as the audit record and the page show them. */
export type Starter = Pick<Caller, 'issuer' | 'subject'>

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
    ...(account !== undefined && { target: `${account.issuer}/${account.subject}` }),
    ...(!isConsent && { reason: reason ?? `no consent at ${upstream}` }),
    durationMs: 0,
  })
}
