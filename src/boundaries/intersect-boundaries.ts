import type {
  AccessBoundary,
  AccessBoundaryCondition,
  AccessBoundaryRule,
} from '../domain/access-boundary.ts'
import { formatCondition, parseCondition } from '../domain/boundary-condition.ts'
import { boundaryFaults, conditionFault, type BoundaryFault } from './boundary.ts'

export type Intersection =
  | { readonly ok: true; readonly boundary: AccessBoundary }
  | { readonly ok: false; readonly fault: BoundaryFault }

/**
 * The boundary that reaches what both reach and nothing else: of each pair of rules for one bucket, the permissions
 * that both give under both conditions. A part of `asked` that nothing in `allowed` can be compared with is a fault and
 * never left out silently, and so is a result that passes Google's limits.
 */
export function intersectBoundaries(asked: AccessBoundary, allowed: AccessBoundary): Intersection {
  const meets: Meet[] = []
  for (const [index, rule] of asked.entries()) {
    const partners = allowed.filter(({ availableResource }) => availableResource === rule.availableResource)
    const fault = incomparable(rule, partners)
    if (fault !== undefined) return failed([index, ...fault.path], fault.text)
    for (const partner of partners) {
      const meet = meetOf(rule, partner)
      if ('fault' in meet) return failed([index, 'availabilityCondition', 'expression'], meet.fault)
      if (meet.permissions.length > 0) meets.push(meet)
    }
  }
  const boundary = meets.filter((meet, index) => !isRedundant(meet, index, meets)).map(ruleOf)
  const [limit] = boundaryFaults(boundary)
  if (limit === undefined) return { ok: true, boundary }
  return failed([], `together with what this caller may have, ${limit.text}`)
}

/** What two rules for one bucket have in common. */
interface Meet {
  readonly resource: string
  readonly permissions: readonly string[]
  /** All of them; none means always. */
  readonly conditions: readonly ReadCondition[]
}

interface ReadCondition {
  readonly written: AccessBoundaryCondition
  /** In its one form: what has it alike means the same. */
  readonly form: string
}

function failed(path: BoundaryFault['path'], text: string): Intersection {
  return { ok: false, fault: { path, text } }
}

function incomparable(
  { availablePermissions }: AccessBoundaryRule,
  partners: AccessBoundary,
): BoundaryFault | undefined {
  if (partners.length === 0)
    return { path: ['availableResource'], text: 'is not a resource that this caller may have' }
  const place = availablePermissions.findIndex((permission) =>
    partners.every((partner) => meetPermissions([permission], partner.availablePermissions).length === 0),
  )
  if (place === -1) return undefined
  return {
    path: ['availablePermissions', place],
    text: 'cannot be compared with the permissions that this caller may have',
  }
}

function meetOf(one: AccessBoundaryRule, other: AccessBoundaryRule): Meet | { readonly fault: string } {
  const conditions: ReadCondition[] = []
  for (const { availabilityCondition: written } of [one, other]) {
    if (written === undefined) continue
    const parsed = parseCondition(written.expression)
    // Both were checked where they came in, and what cannot be read is joined with nothing.
    if (!parsed.ok) return { fault: conditionFault(written.expression, parsed.fault).text }
    const form = formatCondition(parsed.condition)
    if (!conditions.some((known) => known.form === form)) conditions.push({ written, form })
  }
  return {
    resource: one.availableResource,
    permissions: meetPermissions(one.availablePermissions, other.availablePermissions),
    conditions,
  }
}

function meetPermissions(some: readonly string[], others: readonly string[]): readonly string[] {
  const common = some.flatMap((one) => others.map((other) => narrowerPermission(one, other)))
  return [...new Set(common)].filter((permission) => permission !== undefined)
}

/** Whether another of the rules reaches all that this one does; of two alike the first stays. */
function isRedundant(meet: Meet, index: number, meets: readonly Meet[]): boolean {
  return meets.some(
    (other, place) => place !== index && isWithin(meet, other) && (place < index || !isWithin(other, meet)),
  )
}

function isWithin(meet: Meet, wider: Meet): boolean {
  const forms = new Set(meet.conditions.map(({ form }) => form))
  return (
    meet.resource === wider.resource &&
    meet.permissions.every((permission) =>
      wider.permissions.some((other) => narrowerPermission(permission, other) === permission),
    ) &&
    wider.conditions.every(({ form }) => forms.has(form))
  )
}

function ruleOf({ resource, permissions, conditions }: Meet): AccessBoundaryRule {
  const [only, ...others] = conditions
  if (only === undefined) return { availableResource: resource, availablePermissions: permissions }
  const both = { expression: conditions.map(({ form }) => `(${form})`).join(' && ') }
  return {
    availableResource: resource,
    availablePermissions: permissions,
    availabilityCondition: others.length === 0 ? only.written : both,
  }
}

/**
 * Predefined roles of Cloud Storage that have every permission of others, directly or by one more step. Evident from
 * the roles' own permissions (docs/google.md §2.4, which a test reads); of any other pair nothing is known.
 */
const contained: Readonly<Record<string, readonly string[]>> = {
  'roles/storage.admin': ['roles/storage.objectAdmin'],
  'roles/storage.objectAdmin': ['roles/storage.objectUser'],
  'roles/storage.objectUser': ['roles/storage.objectCreator', 'roles/storage.objectViewer'],
  'roles/storage.objectViewer': ['roles/storage.legacyObjectReader'],
}

/** Every pair of different roles of which the first provably has all permissions of the second. */
export const containedRoles: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.keys(contained).map((role) => [role, new Set(below(role))]),
)

/** What both permissions of a boundary allow, as one of them; `undefined` where the two cannot be compared. */
export function narrowerPermission(one: string, other: string): string | undefined {
  if (one === other || isPermissionWithin(one, other)) return one
  return isPermissionWithin(other, one) ? other : undefined
}

function isPermissionWithin(permission: string, wider: string): boolean {
  return containedRoles.get(roleOf(wider))?.has(roleOf(permission)) ?? false
}

function roleOf(permission: string): string {
  return permission.replace(/^inRole:/, '')
}

function below(role: string): readonly string[] {
  return (contained[role] ?? []).flatMap((inner) => [inner, ...below(inner)])
}
