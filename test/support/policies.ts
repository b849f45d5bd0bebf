import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { compilePolicy, type CompiledPolicy } from '../../src/policy/compile-policy.ts'
import type { Caller, Claims } from '../../src/domain/caller.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { epochSeconds } from '../../src/domain/time.ts'

const issuers = [
  { name: 'cluster', issuer: 'https://cluster.example', keys: { discovery: true }, replay: 'allowed' },
  { name: 'ops', issuer: 'https://ops.example', keys: { discovery: true } },
]

/** A policy of these rules and admins, which speak of the issuers `cluster` and `ops`. */
export function policyOf(
  rules: readonly object[],
  admins: readonly object[] = [],
  upstreams: readonly object[] = [],
): CompiledPolicy {
  const text = JSON.stringify({ version: 1, issuers, upstreams, rules, admins })
  return compilePolicy(
    parsePolicy({ text, revision: '1', origin: 'test' }, { brokerIssuer: 'https://tokens.acme.example' }),
  )
}

/** A rule that gives the scope `read` of the credential `reports` to everybody of `cluster`. */
export function ruleWith(changes: object = {}): object {
  return {
    name: 'everybody reads',
    callers: [{ issuer: 'cluster', subject: '*' }],
    credential: 'reports',
    scopes: ['read'],
    ...changes,
  }
}

export function callerOf(subject: string, claims: Claims = {}): Caller {
  return { issuer: 'https://cluster.example', issuerName: 'cluster', subject, claims }
}

/** An enabled service-account key called `reports`. */
export function credentialWith(changes: Partial<CredentialSummary> = {}): CredentialSummary {
  return {
    name: 'reports',
    kind: 'service_account_key',
    upstream: 'google',
    state: 'enabled',
    version: 'v1',
    versions: [],
    identity: 'reports@acme.iam.gserviceaccount.com',
    health: { status: 'unknown', since: epochSeconds(0) },
    revision: 1,
    createdAt: epochSeconds(0),
    updatedAt: epochSeconds(0),
    ...changes,
  }
}
