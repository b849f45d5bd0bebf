import fc from 'fast-check'
import type { AccessBoundaryCondition, AccessBoundaryRule } from '../../src/domain/access-boundary.ts'
import type { Condition } from '../../src/domain/boundary-condition.ts'

export const viewer = 'inRole:roles/storage.objectViewer'
export const creator = 'inRole:roles/storage.objectCreator'
export const user = 'inRole:roles/storage.objectUser'
export const admin = 'inRole:roles/storage.objectAdmin'

export function bucket(name: string): string {
  return `//storage.googleapis.com/projects/_/buckets/${name}`
}

/** A boundary's rule that lets objects of the bucket `reports` be read. */
export function reach(changes: Partial<AccessBoundaryRule> = {}): AccessBoundaryRule {
  return { availableResource: bucket('reports'), availablePermissions: [viewer], ...changes }
}

/** The condition that an object lies in the bucket `reports`, below a prefix. */
export function under(prefix: string): AccessBoundaryCondition {
  return { expression: `resource.name.startsWith('projects/_/buckets/reports/objects/${prefix}')` }
}

const literal = fc
  .oneof(
    fc.constantFrom('a', 'ab', 'a/', 'b/c', '', "o'neil", '\\', '\u0000', '😀'),
    fc.string({ maxLength: 6 }),
  )
  .map((value): Condition => ({ kind: 'literal', value }))
const text = fc.oneof(
  literal,
  fc.constant<Condition>({ kind: 'object_name' }),
  fc.constant<Condition>({ kind: 'list_prefix' }),
)

/** Any condition of the grammar, some levels deep. */
export const condition: fc.Arbitrary<Condition> = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.record({ kind: fc.constantFrom('startsWith', 'endsWith'), text, argument: text }),
    fc.record({ kind: fc.constantFrom('equal', 'unequal'), left: text, right: text }),
    fc.record({ kind: fc.constant('truth'), value: fc.boolean() }),
    fc.record({ kind: fc.constant('not'), term: tie('condition') }),
    fc.record({ kind: fc.constantFrom('equal', 'unequal'), left: tie('condition'), right: tie('condition') }),
    fc.record({
      kind: fc.constantFrom('any', 'all'),
      terms: fc.array(tie('condition'), { minLength: 2, maxLength: 5 }),
    }),
  ),
})).condition
