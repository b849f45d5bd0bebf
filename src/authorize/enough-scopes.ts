import { scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { fullScopeName, scopesImpliedBy, shortScopeName } from './implied-scopes.ts'

export interface ScopesInUse {
  /** As the rule's author wrote them. */
  readonly written: ScopeSet
  /** As tokens carried them. */
  readonly used: ScopeSet
  readonly upstream: string
}

/** The least scopes of a rule that would still have given all that was used, in the words of the rule. */
export function enoughScopes({ written, used, upstream }: ScopesInUse): ScopeSet {
  if (upstream !== 'google') return used
  const needed = used.filter((scope) => !used.some((other) => isBroader(other, scope, used)))
  return scopeSet(
    needed.map((scope) => written.find((word) => fullScopeName(word) === scope) ?? shortScopeName(scope)),
  )
}

/** Of two names of one scope the first stays. */
function isBroader(other: string, scope: string, used: ScopeSet): boolean {
  if (!scopesImpliedBy(other).has(scope)) return false
  return !scopesImpliedBy(scope).has(other) || used.indexOf(other) < used.indexOf(scope)
}
