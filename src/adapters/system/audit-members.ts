import type { AuditRecord } from '../../domain/audit-record.ts'
import type { Json } from '../../domain/caller.ts'
import { withoutTokens } from './without-tokens.ts'

// What callers send may be long, and Cloud Logging drops an entry beyond 256 KiB.
const textCharsMax = 1000
const scopesMax = 100

/** The record as it is written, on stdout and in the store: snake_case, and only what is known. */
export function auditMembers(record: AuditRecord): Readonly<Record<string, Json>> {
  const members: Record<string, Json> = {
    request_id: record.requestId,
    at: record.at,
    action: record.action,
    outcome: record.outcome,
  }
  // One object, filled: on the hot path a chain of spreads costs more than all the rest.
  const put = (name: string, value: Json | undefined): void => {
    if (value !== undefined) members[name] = value
  }
  put('issuer', short(record.issuer))
  put('caller', short(record.caller))
  put('rule', record.rule)
  put('credential', short(record.credential))
  put('credential_version', record.credentialVersion)
  put('scopes_asked', few(record.scopesAsked))
  put('scopes_issued', record.scopesIssued)
  put('subject', short(record.subject))
  put('source', record.source)
  put('remaining_seconds', record.remaining)
  put('token_sha256', record.tokenDigest)
  put('error', record.error)
  put('reason', short(record.reason))
  put('duration_ms', Math.round(record.durationMs * 1000) / 1000)
  return members
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
