import { isScopeToken, parseScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { Part } from './credential-file.ts'

/** Narrowing a refresh token is literal (docs/google.md §1.1), so what was consented must be known word by word. */
export function parseConsentedScopes(scopes: unknown): Part<ScopeSet> {
  const fault = (why: string) => ({ ok: false, fault: `scopes: ${why}` }) as const
  if (scopes === undefined) return fault('the scopes that were consented are required for a refresh token')
  const words: unknown = typeof scopes === 'string' ? parseScope(scopes) : scopes
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string' && isScopeToken(word)))
    return fault('must be a list of scopes, or one text with spaces between them')
  const consented = scopeSet(words.map(String))
  return consented.length === 0 ? fault('must name at least one scope') : { ok: true, value: consented }
}
