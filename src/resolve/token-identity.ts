import type { Grant } from '../domain/grant.ts'

/**
 * Names everything a token depends on, so that two grants share a token only if all of it is equal (P14). JSON keeps
 * the parts apart whatever they contain. The caller is not in it: two callers that are allowed the same thing share.
 */
export function tokenIdentity(grant: Grant): string {
  const { credential, tokenType, scopes, audience, subject, boundary, lifetime, upstreamTerms } = grant
  return JSON.stringify([
    credential.name,
    credential.version,
    credential.upstream,
    credential.source?.name ?? null,
    credential.source?.version ?? null,
    tokenType,
    scopes,
    audience ?? null,
    subject ?? null,
    boundary ?? null,
    lifetime ?? null,
    upstreamTerms ?? null,
  ])
}
