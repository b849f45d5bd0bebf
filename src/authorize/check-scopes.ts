import { quote } from '../domain/quote.ts'
import { fullScopeName, scopesImpliedBy, shortScopeName, shortScopeNames } from './implied-scopes.ts'
import { nearMiss } from './near-miss.ts'
import { bareScopes, deprecatedScopes } from './scope-catalogue.ts'
import type { RuleContext } from './rule-context.ts'

/** Warns of scopes that say nothing new, are misspelt, are of an API that is gone, or were never consented to. */
export function warnOfScopes({ rule, credential, warn, pathOfScope }: RuleContext): void {
  const isGoogles = credential === undefined || credential.upstream === 'google'
  for (const scope of rule.scopes) {
    const path = pathOfScope(scope)
    if (isGoogles) {
      const text =
        redundancy(scope, rule.scopes) ?? deprecation(scope) ?? misspelling(scope, credential !== undefined)
      if (text !== undefined) warn(path, text)
    }
    const meant = isGoogles ? fullScopeName(scope) : scope
    if (credential?.consentedScopes?.includes(meant) === false)
      warn(path, `was never consented to for ${quote(credential.name)}, so no token carries it`)
  }
}

function redundancy(scope: string, scopes: readonly string[]): string | undefined {
  const meant = fullScopeName(scope)
  const broader = scopes.find((other) => {
    const full = fullScopeName(other)
    // Of two names of one scope only the second is too much.
    const isAlias = full === meant || scopesImpliedBy(meant).has(full)
    return (
      other !== scope && (full === meant || scopesImpliedBy(full).has(meant)) && !(isAlias && scope < other)
    )
  })
  if (broader === undefined) return undefined
  return `${quote(broader)} gives this too: leave it out, or, if it is all that is needed, leave out ${quote(broader)}`
}

function deprecation(scope: string): string | undefined {
  const name = shortScopeName(scope)
  return Object.hasOwn(deprecatedScopes, name) ? `is deprecated: ${deprecatedScopes[name]}` : undefined
}

function misspelling(scope: string, isSurelyGoogles: boolean): string | undefined {
  const known = [...shortScopeNames(), ...bareScopes]
  const name = scope.replace(/^https:\/\/www\.googleapis\.com\/auth\//, '')
  if (known.includes(name)) return undefined
  const meant = nearMiss(name, known)
  if (meant !== undefined) return `is not in the catalogue of Google's scopes; did you mean ${quote(meant)}?`
  return isSurelyGoogles && !scope.includes('://')
    ? 'is no short name: a scope outside the catalogue is written as a URL'
    : undefined
}
