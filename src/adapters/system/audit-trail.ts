import { escapeInvisible } from '../../domain/text.ts'
import type { MaybePromise } from '../../domain/promises.ts'
import { BrokerError } from '../../domain/broker-error.ts'
import type { AuditTrail } from '../../ports/log.ts'
import type { AuditRecord } from '../../domain/audit-record.ts'
import type { Json } from '../../domain/caller.ts'

/**
 * One line of JSON a decision, in the form Cloud Logging reads. Done when `write` says that it is written; with a line
 * writer that is group commit. Rejects with `audit_unavailable` when it is not.
 */
export function createStdoutAuditTrail(deps: {
  readonly write: (line: string) => MaybePromise<void>
  readonly instance: string
}): AuditTrail {
  const auditLine = createAuditLine(deps.instance)
  return async (record) => {
    try {
      await deps.write(auditLine(record))
    } catch (cause) {
      throw new BrokerError('audit_unavailable', { reason: 'the audit record could not be written', cause })
    }
  }
}

const severities = { issued: 'INFO', done: 'NOTICE', refused: 'WARNING', failed: 'ERROR' } as const

/**
 * One line of JSON a record, with Cloud Logging's names around it and the record itself in snake_case under `audit`
 * (a log sink's filter is `jsonPayload.audit:*`). On the hot path: one object and one stringify, about 1 µs.
 */
export function createAuditLine(instance?: string): (record: AuditRecord) => string {
  let second = -1
  let time = ''
  return (record) => {
    if (record.at !== second) {
      second = record.at
      time = new Date(second * 1000).toISOString()
    }
    const line = {
      severity: severities[record.outcome],
      time,
      message: sentence(record),
      audit: auditMembers(record, instance),
    }
    return escapeInvisible(JSON.stringify(line))
  }
}

function sentence(record: AuditRecord): string {
  const { outcome, action, rule, source } = record
  const who =
    record.caller === undefined ? 'an unknown caller' : `${short(record.issuer)}/${short(record.caller)}`
  const of = record.credential ?? record.target
  const what = of === undefined ? action : `${action} of "${short(of)}"`
  switch (outcome) {
    case 'issued':
      return rule === undefined
        ? `issued ticket to ${who}`
        : `issued ${record.signedDigest === undefined ? 'token' : 'signature'} to ${who} by rule "${rule}" (${source})`
    case 'done':
      return `did ${what} for ${who}`
    case 'refused':
      return `refused ${what} to ${who}: ${short(record.reason)}`
    case 'failed':
      return `failed at ${what} for ${who}: ${short(record.reason)}`
  }
}

// What callers send may be long, and Cloud Logging drops an entry beyond 256 KiB.
const textCharsMax = 1000
const scopesMax = 100

/**
 * The record as it is written, on stdout and in the store: snake_case, and `undefined` where JSON has nothing.
 * `instance`: the one that writes it, by its name in leases, metrics and traces. One literal: on the hot path an object
 * that is filled, or a chain of spreads, costs more than all the rest.
 */
export function auditMembers(
  record: AuditRecord,
  instance?: string,
): Readonly<Record<string, Json | undefined>> {
  return {
    request_id: record.requestId,
    trace_id: record.traceId,
    instance,
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
    signed_sha256: record.signedDigest,
    target: short(record.target),
    policy_revision: record.policyRevision,
    former_policy_revision: short(record.formerPolicyRevision),
    forced: record.forced,
    accepted_unproved: record.acceptedUnproved,
    error: record.error,
    reason: short(record.reason),
    duration_ms: Math.round(record.durationMs * 1000) / 1000,
  }
}

/** As a log may have it: without what looks like a secret, and cut to what a log takes. */
function short(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const shown = redactTokens(text)
  return shown.length <= textCharsMax ? shown : `${shown.slice(0, textCharsMax)}…`
}

function few(scopes: readonly string[] | undefined): readonly string[] | undefined {
  if (scopes === undefined || scopes.length === 0) return scopes
  const shown = scopes.slice(0, scopesMax).map((scope) => short(scope) ?? '')
  return scopes.length > scopesMax ? [...shown, `… and ${scopes.length - scopesMax} more`] : shown
}

/**
 * What tokens and client secrets look like: a JWT, whole or cut off, and Google's own. Nothing that names a scope, a
 * credential or a user has one of these forms.
 */
const secretLike = /eyJ[\w-]{16,}(?:\.[\w-]*)*|ya29\.[\w.-]{8,}|1(?:\/|%2F){2}0[\w-]{16,}|GOCSPX-[\w-]{8,}/g

/** Most names are shorter than any of these, and need no look. */
const secretCharsMin = 13

/** A caller's own words without the secrets that may be in the wrong parameter (P23). */
export function redactTokens(text: string): string {
  return text.length < secretCharsMin ? text : text.replace(secretLike, '[cut]')
}
