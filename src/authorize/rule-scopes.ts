import { scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { fullScopeName, scopesImpliedBy } from './implied-scopes.ts'

/** The scopes of a rule, as one upstream understands them. */
export interface RuleScopes {
  readonly scopes: ScopeSet
  /** Whether a token may carry it: a scope of the rule, or one that a scope of the rule implies. */
  readonly allows: (scope: string) => boolean
  /** What the rule allows of that which a broader scope implies. */
  readonly allowedOf: (broader: string) => ScopeSet
}

/** The scopes of a rule at each upstream: the catalogue speaks of Google's, and everywhere else a scope is a word. */
export function createRuleScopes(written: ScopeSet): (upstream: string) => RuleScopes {
  const literal = literalScopes(written)
  const google = googleScopes(scopeSet(written.map(fullScopeName)))
  return (upstream) => (upstream === 'google' ? google : literal)
}

function literalScopes(scopes: ScopeSet): RuleScopes {
  const known = new Set(scopes)
  return { scopes, allows: (scope) => known.has(scope), allowedOf: () => [] }
}

function googleScopes(scopes: ScopeSet): RuleScopes {
  const reach = new Set([...scopes, ...scopes.flatMap((scope) => [...scopesImpliedBy(scope)])])
  return {
    scopes,
    allows: (scope) => reach.has(scope),
    allowedOf: (broader) => scopeSet(scopesImpliedBy(broader).intersection(reach)),
  }
}
