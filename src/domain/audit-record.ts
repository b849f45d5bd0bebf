import { isBrokerError, type BrokerErrorCode } from './broker-error.ts'
import type { TokenType } from './exchange-request.ts'
import type { ScopeSet } from './scopes.ts'
import type { TokenSource } from './token.ts'
import type { EpochSeconds, Seconds } from './time.ts'

export const auditOutcomes = ['issued', 'done', 'refused', 'failed'] as const

export type AuditOutcome = (typeof auditOutcomes)[number]

/** One decision, whole: filled while the request walks the pipeline and written once, before the answer leaves. */
export interface AuditRecord {
  readonly requestId: string
  /** Of the trace that shows how it came to it; the request id is ours and unique, this may be a caller's (T36). */
  readonly traceId?: string
  readonly at: EpochSeconds
  readonly action: AuditAction
  readonly outcome: AuditOutcome
  readonly issuer?: string
  readonly caller?: string
  readonly rule?: string
  /** The credential asked for, as far as it is known: a refused request shows the name it gave. */
  readonly credential?: string
  readonly credentialVersion?: string
  readonly scopesAsked?: ScopeSet
  readonly scopesIssued?: ScopeSet
  readonly subject?: string
  /** What was asked for; it is given as that or not at all. */
  readonly tokenType?: TokenType
  /** Whom an ID token is for, or what a signature is for. */
  readonly audience?: string
  /** An access boundary is on the token. */
  readonly bounded?: true
  readonly source?: TokenSource
  readonly remaining?: Seconds
  /** SHA-256 of the token, never the token. */
  readonly tokenDigest?: string
  /** Of a signature: SHA-256 of what was signed. */
  readonly signedDigest?: string
  /** The caller who is blocked or let in, as `ISSUER/SUBJECT`. */
  readonly target?: string
  /** What a policy is now, and what it was: of an act that replaces it. */
  readonly policyRevision?: string
  readonly formerPolicyRevision?: string
  /** It was to be applied though it might lock its administrator out. */
  readonly forced?: true
  /** What can be accepted without proof was: that Google refuses an intermediary token alone. */
  readonly acceptedUnproved?: true
  readonly error?: BrokerErrorCode | 'bug'
  /** The true reason of a refusal or failure. */
  readonly reason?: string
  readonly durationMs: number
}

/** What an act of administration is about, as far as it is known when the record is written. */
export type AdminFacts = Pick<
  AuditRecord,
  | 'credential'
  | 'credentialVersion'
  | 'target'
  | 'policyRevision'
  | 'formerPolicyRevision'
  | 'forced'
  | 'acceptedUnproved'
>

export type AuditAction =
  | 'token.exchange'
  | 'token.revoke'
  | 'admin.unknown'
  | 'admin.whoami'
  | 'person.sign_in'
  | 'person.sign_out'
  | 'connection.start'
  | 'connection.read'
  | 'connection.consent'
  | 'connection.finalize'
  | 'credential.enrol'
  | 'credential.list'
  | 'credential.read'
  | 'credential.disable'
  | 'credential.enable'
  | 'credential.revoke'
  | 'credential.destroy'
  | 'credential.rotate'
  | 'credential.abort'
  | 'credential.change'
  | 'version.list'
  | 'version.bring'
  | 'version.disable'
  | 'version.destroy'
  | 'maintenance.run'
  | 'audit.read'
  | 'summary.read'
  | 'event.list'
  | 'event.test'
  | 'policy.read'
  | 'policy.apply'
  | 'policy.validate'
  | 'policy.explain'
  | 'policy.suggest'
  | 'keys.rewrap'
  | 'store.export'
  | 'store.import'
  | 'service.read'
  | 'service.stop'
  | 'service.resume'
  | 'caller.list'
  | 'caller.revoke'
  | 'caller.restore'

/**
 * How the record of a refusal or failure ends: with the true reason, or with nothing but that it is a bug; and with the
 * caller of one who was refused while being authenticated, when the signature had verified already.
 */
export function failureOf(
  error: unknown,
): Pick<AuditRecord, 'outcome' | 'issuer' | 'caller' | 'error' | 'reason'> {
  if (!isBrokerError(error)) return { outcome: 'failed', error: 'bug' }
  const outcome = faultsOfOurs.has(error.code) ? 'failed' : 'refused'
  const { code, reason, caller } = error
  const known = caller && { issuer: caller.issuer, caller: caller.subject }
  return { outcome, ...known, error: code, reason }
}

const faultsOfOurs: ReadonlySet<BrokerErrorCode> = new Set<BrokerErrorCode>([
  'issuer_unavailable',
  'upstream_unavailable',
  'upstream_nonsense',
  'store_unavailable',
  'key_ring_unavailable',
  'policy_unavailable',
  'lease_busy',
  'audit_unavailable',
])
