import { quote, closestMatch } from '../domain/text.ts'
import { isScopeToken, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { fullScopeName, shortScopeNames, bareScopes } from './scope-catalogue.ts'

export type ReadScopes = (upstream: string, words: readonly string[]) => ScopesRead

export type ScopesRead =
  | { readonly ok: true; readonly scopes: ScopeSet }
  /** One for each word that means nothing. */
  | { readonly ok: false; readonly faults: readonly string[] }

/** Scopes as a person writes them: at Google a short name stands for its URL, and a word that is neither is a fault. */
export const readScopes: ReadScopes = (upstream, words) => {
  const faults = words.flatMap((word) => {
    const fault = faultOf(upstream, word)
    return fault === undefined ? [] : [`scopes: ${quote(word)} ${fault}`]
  })
  if (faults.length > 0) return { ok: false, faults }
  return { ok: true, scopes: scopeSet(upstream === 'google' ? words.map(fullScopeName) : words) }
}

function faultOf(upstream: string, word: string): string | undefined {
  if (!isScopeToken(word)) return 'is no scope'
  if (upstream !== 'google') return undefined
  const known = shortScopeNames()
  if (word.includes('://') || bareScopes.includes(word) || known.includes(word)) return undefined
  const meant = closestMatch(word, [...known, ...bareScopes])
  const hint = meant === undefined ? 'write the scope as a URL' : `did you mean ${quote(meant)}?`
  return `is no scope of Google: ${hint}`
}
