import type { Reading } from '../domain/result.ts'
import { quote, closestMatch } from '../domain/text.ts'
import { isScopeToken, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { fullScopeName, shortScopeNames, bareScopes } from './scope-catalogue.ts'

export type ReadScopes = (upstream: string, words: readonly string[]) => Reading<ScopeSet>

/**
 * Scopes as a person writes them: at Google a short name stands for its URL. A fault for each word that is neither, of
 * the first ten.
 */
export const readScopes: ReadScopes = (upstream, words) => {
  const faults: string[] = []
  const known = new Set(upstream === 'google' ? [...shortScopeNames(), ...bareScopes] : [])
  for (const word of words) {
    const fault = faultOf(word, known)
    if (fault !== undefined) faults.push(`scopes: ${quote(word)} ${fault}`)
    if (faults.length === faultsMax) break
  }
  if (faults.length > 0) return { ok: false, faults }
  return { ok: true, value: scopeSet(upstream === 'google' ? words.map(fullScopeName) : words) }
}

/** Nobody reads more, and what was meant takes a look at each name there is. */
const faultsMax = 10

/** Of an upstream that is not Google no names are known. */
function faultOf(word: string, known: ReadonlySet<string>): string | undefined {
  if (!isScopeToken(word)) return 'is no scope'
  if (known.size === 0 || word.includes('://') || known.has(word)) return undefined
  const meant = closestMatch(word, [...known])
  const hint = meant === undefined ? 'write the scope as a URL' : `did you mean ${quote(meant)}?`
  return `is no scope of Google: ${hint}`
}
