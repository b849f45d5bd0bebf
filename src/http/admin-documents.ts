import type { CredentialSummary, VersionSummary } from '../domain/credential.ts'
import type { RotationStatus } from '../domain/rotation.ts'
import { formatOptional, formatTimestamp, later, seconds } from '../domain/time.ts'
import type { EnrolledCredential } from '../enrolment/administer-credentials.ts'
import type { RevokedCredential } from '../enrolment/revoke-credential.ts'
import type { PolicyReading } from '../policy/administer-policy.ts'
import type {
  CredentialDocument,
  CredentialPageDocument,
  RevokedCredentialDocument,
  RotationDocument,
  VersionDocument,
  PolicyDocument,
} from './credential-schemas.ts'
import type { Reply } from './route-schemas.ts'
import type { MaintenanceReport } from '../maintenance/maintenance.ts'
import type {
  MaintenanceDocument,
  BlockedCallerDocument,
  ServiceDocument,
  StopDocument,
  ExplanationDocument,
  SuggestionDocument,
} from './document-schemas.ts'
import type { BlockedCaller, BlockedBy } from '../domain/blocks.ts'
import type { PartStatus, ServiceStatus } from '../service/administer-service.ts'
import type { Explanation } from '../domain/explanation.ts'
import type { ExplainedRequest } from '../advice/record-use.ts'
import type { PolicySuggestion } from '../domain/policy.ts'

/** A credential as the admin API shows it: member by member, so that nothing secret gets in by being added. */
function credentialDocument(credential: EnrolledCredential): CredentialDocument {
  const { health, consentedScopes, revocation, boundaries = {}, alsoEnrolledAs: others } = credential
  return {
    name: credential.name,
    kind: credential.kind,
    upstream: credential.upstream,
    state: credential.state,
    version: credential.version,
    versions: credential.versions.map(versionDocument),
    source: credential.source,
    account: credential.account?.name,
    identity: credential.identity,
    key_id: credential.keyId,
    scopes: consentedScopes === undefined ? undefined : [...consentedScopes],
    narrows: credential.narrowing?.way,
    expires_at: formatOptional(credential.expiresAt),
    health: {
      status: health.status,
      since: formatTimestamp(health.since),
      reason: health.reason,
      checked_at: formatOptional(health.checkedAt),
      history: health.history?.map((span) => ({ ...span, since: formatTimestamp(span.since) })),
    },
    rotation: credential.rotation === undefined ? undefined : rotationDocument(credential.rotation),
    rotate_after_days: credential.rotateAfterDays,
    boundary_source: boundaries.source,
    bounded_locally: boundaries.locally,
    accept_unproved: boundaries.acceptUnproved,
    intermediary_refused_at: formatOptional(boundaries.intermediaryRefusedAt),
    revocation: revocation === undefined ? undefined : { ...revocation, at: formatTimestamp(revocation.at) },
    created_at: formatTimestamp(credential.createdAt),
    updated_at: formatTimestamp(credential.updatedAt),
    also_enrolled_as: others === undefined ? undefined : [...others],
  }
}

export function versionDocument(version: VersionSummary): VersionDocument {
  return {
    id: version.id,
    state: version.state,
    identity: version.identity,
    key_id: version.keyId,
    created_at: formatTimestamp(version.createdAt),
    changed_at: formatTimestamp(version.changedAt),
    expires_at: formatOptional(version.expiresAt),
    removal:
      version.removal === undefined
        ? undefined
        : {
            due_at: formatTimestamp(version.removal.dueAt),
            upstream_too: version.removal.upstreamToo,
          },
  }
}

function rotationDocument(rotation: RotationStatus): RotationDocument {
  const { id, method, step, failures, reason, candidate, former } = rotation
  return {
    id,
    method,
    step,
    since: formatTimestamp(rotation.since),
    started_at: formatTimestamp(rotation.startedAt),
    next_try_at: formatTimestamp(rotation.nextTryAt),
    failures,
    reason,
    candidate,
    former,
  }
}

export function revokedCredentialDocument({
  credential,
  revocation,
}: RevokedCredential): RevokedCredentialDocument {
  return { local: 'done', ...revocation, credential: credentialDocument(credential) }
}

export function credentialPageDocument(
  credentials: readonly CredentialSummary[],
  limit: number,
): CredentialPageDocument {
  const next = credentials.length < limit ? undefined : credentials.at(-1)?.name
  return { credentials: credentials.map((credential) => credentialDocument(credential)), next_after: next }
}

export function policyDocument(policy: PolicyReading): PolicyDocument {
  return {
    revision: policy.revision,
    origin: policy.origin,
    status: policy.fault === undefined ? 'current' : 'stale',
    fault: policy.fault,
    latest_revision: policy.latestRevision,
    loaded_at: formatTimestamp(policy.loadedAt),
    document: policy.text,
  }
}

/** What a route answers that shows a credential: with the revision that a change may name in `If-Match`. */
export function showCredential(credential: EnrolledCredential): Reply<CredentialDocument> {
  return { document: credentialDocument(credential), revision: String(credential.revision) }
}

/** What `maintenance:run` shows. */
export function maintenanceDocument(report: MaintenanceReport): MaintenanceDocument {
  const { begun, rotations, removed, probed, swept, faults, isMoreLeft } = report
  return {
    begun: [...begun],
    rotations: rotations.map(({ credential, step, reason }) => ({ credential, step, reason })),
    removed: removed.map(({ credential, version }) => ({ credential, version })),
    probed: probed.map(({ credential, works }) => ({ credential, works })),
    swept: { deleted: swept?.deleted ?? 0, more_left: swept?.isMoreLeft ?? true },
    faults: faults.map(({ task, credential, reason }) => ({ task, credential, reason })),
    more_left: isMoreLeft,
  }
}

export function serviceDocument(status: ServiceStatus): ServiceDocument {
  const { policy } = status
  return {
    version: status.version,
    time: formatTimestamp(status.now),
    issuer: status.issuer,
    stopped: byHandDocument(status.stopped),
    blocked_callers: status.blockedCallers,
    store: part(status.store),
    key_ring: part(status.keyRing),
    policy: {
      ...part(policy),
      revision: policy.revision,
      origin: policy.origin,
      loaded_at: formatOptional(policy.loadedAt),
    },
    upstreams: status.upstreams.map((one) => ({ name: one.name, ...part(one), at: formatTimestamp(one.at) })),
    settings: { ...status.settings },
  }
}

export function stopDocument(stopped: BlockedBy | undefined): StopDocument {
  return {
    stopped: byHandDocument(stopped),
    everywhere_by:
      stopped === undefined ? undefined : formatTimestamp(later(stopped.since, seenEverywhereWithin)),
  }
}

/** P36. */
const seenEverywhereWithin = seconds(10)

function byHandDocument(act: BlockedBy | undefined): StopDocument['stopped'] {
  return act === undefined ? undefined : { by: act.by, since: formatTimestamp(act.since) }
}

export function blockedCallerDocument(caller: BlockedCaller): BlockedCallerDocument {
  const { issuer, subject, by, since } = caller
  return { issuer, subject, by, since: formatTimestamp(since) }
}

function part({ ok, reason }: PartStatus): ServiceDocument['store'] {
  return { status: ok ? 'ok' : 'fault', reason }
}

// What `policy:explain` and `policy:suggest` show.

export function explanationDocument({ explanation, refused }: ExplainedRequest): ExplanationDocument {
  const { caller, credential, rules, narrowestScopes: narrowest, hints } = explanation
  return {
    outcome: explanation.outcome,
    error: explanation.error,
    reason: explanation.reason,
    condition: explanation.condition,
    caller: { issuer: caller.issuer, issuer_name: caller.issuerName, subject: caller.subject },
    credential,
    rules: rules.map(({ rule, outcome, failed }) => ({ rule, outcome, failed: [...failed] })),
    token: tokenDocument(explanation.token),
    narrowest_scopes: narrowest === undefined ? undefined : [...narrowest],
    hints: [...hints],
    refused_then:
      refused === undefined
        ? undefined
        : {
            at: formatTimestamp(refused.at),
            error: refused.error,
            reason: refused.reason,
            condition: refused.condition,
          },
  }
}

function tokenDocument(token: Explanation['token']): ExplanationDocument['token'] {
  if (token === undefined) return undefined
  const { tokenType, scopes, audience, subject, boundary, bounding, lifetimeMax, upstream } = token
  return {
    token_type: tokenType,
    scopes: [...scopes],
    implied_scopes: token.impliedScopes?.map(({ scope, by, except }) => ({ scope, by, except: [...except] })),
    audience,
    subject,
    access_boundary_rules: boundary === undefined ? undefined : [...boundary],
    bounding,
    lifetime_seconds_max: lifetimeMax,
    upstream,
  }
}

export function suggestionDocument(suggestion: PolicySuggestion): SuggestionDocument {
  const { days, observedSince, rules, unusedCredentials } = suggestion
  return {
    days,
    observed_since: formatOptional(observedSince),
    rules: rules.map(({ lastUsed, changes, notes, ...rule }) => ({
      ...rule,
      last_used: formatOptional(lastUsed),
      changes: changes.map(({ member, now, enough }) => ({ member, now: [...now], enough: [...enough] })),
      notes: [...notes],
    })),
    unused_credentials: [...unusedCredentials],
  }
}
