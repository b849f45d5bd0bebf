import { refuseUnknownScopes } from './refusals.ts'

export const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform'
export const CLOUD_KMS = 'https://www.googleapis.com/auth/cloudkms'
export const IAM = 'https://www.googleapis.com/auth/iam'
export const REAUTH = 'https://www.googleapis.com/auth/accounts.reauth'
export const EMAIL = 'https://www.googleapis.com/auth/userinfo.email'
const PROFILE = 'https://www.googleapis.com/auth/userinfo.profile'

const known =
  /^(?:openid|email|profile|https:\/\/mail\.google\.com\/|https:\/\/www\.google\.com\/(?:calendar|m8)\/feeds\/?|https:\/\/www\.googleapis\.com\/auth\/[a-z][a-z0-9_-]*(?:[./][a-z0-9_-]+)*)$/i

/** The scopes of a space-separated list, each once, in order; refuses one Google could not know. */
export function parseScopes(text: string): readonly string[] {
  const scopes = [...new Set(text.split(' ').filter((scope) => scope !== ''))]
  checkScopes(scopes)
  return scopes
}

/** Refuses the whole request when one scope has no shape that Google issues. */
function checkScopes(scopes: readonly string[]): void {
  const invalid = scopes.filter((scope) => !known.test(scope))
  if (invalid.length > 0) refuseUnknownScopes(invalid)
}

export function isKnownScope(scope: string): boolean {
  return known.test(scope)
}

/** `email` and `profile` are consented as the scopes they stand for (docs/google.md §6.3, MEM). */
export function expandAliases(scopes: readonly string[]): readonly string[] {
  const expanded = scopes.map((scope) => {
    if (scope === 'email') return EMAIL
    return scope === 'profile' ? PROFILE : scope
  })
  return [...new Set(expanded)]
}
