import type { CredentialKind } from '../domain/credential.ts'

/** Kinds that stand for a service account, which has an identity of its own and may have domain-wide delegation. */
export const identifiesAsAccount: ReadonlySet<CredentialKind> = new Set<CredentialKind>([
  'service_account_key',
  'impersonation',
  'broker_identity',
])
