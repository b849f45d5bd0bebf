import { bareScopes, scopeCatalogue } from './scope-catalogue.ts'

const prefix = 'https://www.googleapis.com/auth/'
const knownShortNames: ReadonlySet<string> = new Set(
  scopeCatalogue.flatMap(({ scope, implies }) => [scope, ...Object.keys(implies)]),
)
const direct: ReadonlyMap<string, readonly string[]> = new Map(
  [...Map.groupBy(scopeCatalogue, ({ scope }) => fullScopeName(scope))].map(([scope, edges]) => [
    scope,
    edges.flatMap(({ implies }) => Object.keys(implies).map(fullScopeName)),
  ]),
)
const implied: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  [...direct.keys()].map((scope) => [scope, reachableFrom(scope)]),
)
const none: ReadonlySet<string> = new Set()

/** What a policy's word stands for at Google: `compute.readonly` for its URL. What the catalogue has not stays itself. */
export function fullScopeName(word: string): string {
  return knownShortNames.has(word) && !bareScopes.includes(word) ? `${prefix}${word}` : word
}

/** The words that stand for a scope at Google. */
export function shortScopeNames(): readonly string[] {
  return [...knownShortNames]
}

/** The word that stands for a scope, or the scope itself where there is none. */
export function shortScopeName(scope: string): string {
  const word = scope.startsWith(prefix) ? scope.slice(prefix.length) : scope
  return knownShortNames.has(word) ? word : scope
}

/** Every scope that a Google scope implies, itself not included, in however many steps of the catalogue. */
export function scopesImpliedBy(scope: string): ReadonlySet<string> {
  return implied.get(scope) ?? none
}

function reachableFrom(start: string): ReadonlySet<string> {
  const found = new Set([start])
  // A set is walked to its end, what is added on the way included.
  for (const scope of found) for (const next of direct.get(scope) ?? []) found.add(next)
  found.delete(start)
  return found
}
