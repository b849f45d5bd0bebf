import type { CredentialKind, CredentialSummary } from '../domain/credential.ts'
import { cloudPlatformScope } from '../domain/google.ts'

/** Kinds whose tokens may act for a service account. */
const actingKinds: ReadonlySet<CredentialKind> = new Set<CredentialKind>([
  'service_account_key',
  'refresh_token',
  'broker_identity',
])

/** Why nothing could be impersonated by this credential; empty if nothing speaks against it. */
export function sourceFaults(source: CredentialSummary | undefined): readonly string[] {
  if (source === undefined) return ['secret.source: no credential of that name is enrolled']
  if (!actingKinds.has(source.kind) || source.upstream !== 'google')
    return [`secret.source: is ${source.kind} of ${source.upstream}, which cannot act for a service account`]
  const { consentedScopes } = source
  return consentedScopes === undefined || consentedScopes.includes(cloudPlatformScope)
    ? []
    : [`secret.source: was not consented ${cloudPlatformScope}`]
}
