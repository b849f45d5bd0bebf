import { fullScopeName, shortScopeName } from './implied-scopes.ts'
import type { RuleContext } from './rule-context.ts'

/** Warns of boundaries that reach more than they seem to, or nothing. */
export function warnOfBoundary({ rule, path, warn }: RuleContext): void {
  if (rule.boundary.length === 0) return
  for (const [index, { availabilityCondition }] of rule.boundary.entries())
    if (openPrefix.test(availabilityCondition?.expression ?? ''))
      warn(
        [...path, 'boundary', index, 'availabilityCondition', 'expression'],
        'a prefix ends in a variable: the claim "a" reaches what belongs to "ab" too, unless a "/" follows',
      )
  const names = rule.scopes.map((scope) => shortScopeName(fullScopeName(scope)))
  if (!names.some((name) => name === 'cloud-platform' || name.startsWith('devstorage.')))
    warn(
      [...path, 'scopes'],
      'the boundary leaves Cloud Storage only, and none of these scopes gives anything there',
    )
}

const openPrefix = /\.startsWith\s*\(\s*(['"])[^'"]*\$\{claims\.[^}]*\}\1/
