import type { AuditRecord } from '../../domain/audit-record.ts'
import type { Json } from '../../domain/caller.ts'
import { withoutTokens } from './without-tokens.ts'

// What callers send may be long, and Cloud Logging drops an entry beyond 256 KiB.
const textCharsMax = 1000
const scopesMax = 100

/**
 * The record as it is written, on stdout and in the store: snake_case, and `undefined` where JSON has nothing. One
 * literal: on the hot path an object that is filled, or a chain of spreads, costs more than all the rest.
 */
export function auditMembers(record: AuditRecord): Readonly<Record<string, Json | undefined>> {
  return {
    request_id: record.requestId,
    at: record.at,
    action: record.action,
    outcome: record.outcome,
    issuer: short(record.issuer),
    caller: short(record.caller),
    rule: record.rule,
    credential: short(record.credential),
    credential_version: record.credentialVersion,
    scopes_asked: few(record.scopesAsked),
    scopes_issued: record.scopesIssued,
    subject: short(record.subject),
    token_type: record.tokenType,
    audience: short(record.audience),
    bounded: record.bounded,
    source: record.source,
    remaining_seconds: record.remaining,
    token_sha256: record.tokenDigest,
    target: short(record.target),
    policy_revision: record.policyRevision,
    former_policy_revision: short(record.formerPolicyRevision),
    forced: record.forced,
    error: record.error,
    reason: short(record.reason),
    duration_ms: Math.round(record.durationMs * 1000) / 1000,
  }
}

/** As a log may have it: without what looks like a secret, and cut to what a log takes. */
export function short(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const shown = withoutTokens(text)
  return shown.length <= textCharsMax ? shown : `${shown.slice(0, textCharsMax)}…`
}

function few(scopes: readonly string[] | undefined): readonly string[] | undefined {
  if (scopes === undefined || scopes.length === 0) return scopes
  const shown = scopes.slice(0, scopesMax).map((scope) => short(scope) ?? '')
  return scopes.length > scopesMax ? [...shown, `… and ${scopes.length - scopesMax} more`] : shown
}
