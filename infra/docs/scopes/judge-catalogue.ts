import { fullScopeName, type ScopeEdges } from '../../../src/policy/scope-catalogue.ts'

/** The methods that take a scope, each by its API and id; what a scope is not asked for anywhere has none. */
export type MethodsByScope = ReadonlyMap<string, ReadonlySet<string>>

/** Every method of discovery documents, by the scopes that it takes. */
export function methodsByScope(documents: readonly unknown[]): MethodsByScope {
  const methods = new Map<string, Set<string>>()
  const visit = (part: Part, api: string): void => {
    for (const { id = '', scopes = [] } of Object.values(part.methods ?? {}))
      for (const scope of scopes) {
        const known = methods.get(scope) ?? new Set()
        methods.set(scope, known.add(`${api} ${id}`))
      }
    for (const inner of Object.values(part.resources ?? {})) visit(inner, api)
  }
  for (const document of documents) if (isPart(document)) visit(document, document.id ?? '')
  return methods
}

interface Part {
  readonly id?: string
  readonly methods?: Readonly<Record<string, { readonly id?: string; readonly scopes?: readonly string[] }>>
  readonly resources?: Readonly<Record<string, Part>>
}

function isPart(document: unknown): document is Part {
  return typeof document === 'object' && document !== null
}

/**
 * What discovery says against the catalogue: a method that takes the narrower scope and not the broader one, a number of
 * methods that is another, and a scope of which discovery does know something where the catalogue says that it does not.
 */
export function judgeCatalogue(catalogue: readonly ScopeEdges[], methods: MethodsByScope): readonly string[] {
  return catalogue.flatMap(({ scope, evidence, implies, except = [] }) =>
    Object.entries(implies).flatMap(([narrower, told]) => {
      const edge = `${scope} implies ${narrower}`
      const taking = methods.get(fullScopeName(narrower)) ?? new Set()
      const only = [...taking.difference(methods.get(fullScopeName(scope)) ?? new Set())]
      const contrary = only.filter((method) => !except.includes(method.replace(/^.* /, '')))
      if (evidence === 'alias') return []
      if (contrary.length > 0) return [`${edge}: not for ${contrary.slice(0, 3).join(', ')}`]
      const expected = evidence === 'discovery' || evidence === 'but_for' ? told : 0
      const found = taking.size - only.length
      return found === expected ? [] : [`${edge}: ${found} methods, and ${expected} in the catalogue`]
    }),
  )
}
