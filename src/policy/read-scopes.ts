import type { Reading } from '../domain/result.ts'
import { quote, closestMatch } from '../domain/text.ts'
import { isScopeToken, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { fullScopeName, shortScopeNames, bareScopes } from './scope-catalogue.ts'

export type ReadScopes = (upstream: string, words: readonly string[]) => Reading<ScopeSet>

/** Scopes as a person writes them: at Google a short name stands for its URL. A fault for each word that is neither. */
export const readScopes: ReadScopes = (upstream, words) => {
  const faults = words.flatMap((word) => {
    const fault = faultOf(upstream, word)
    return fault === undefined ? [] : [`scopes: ${quote(word)} ${fault}`]
  })
  if (faults.length > 0) return { ok: false, faults }
  return { ok: true, value: scopeSet(upstream === 'google' ? words.map(fullScopeName) : words) }
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
