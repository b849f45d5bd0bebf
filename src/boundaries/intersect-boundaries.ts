import type {
  AccessBoundary,
  AccessBoundaryCondition,
  AccessBoundaryRule,
} from '../domain/access-boundary.ts'
import { boundaryFaults, type BoundaryFault } from './boundary.ts'
import { readCel } from './read-cel.ts'
import { narrowerPermission } from './storage-roles.ts'

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
      if (meet.permissions.length === 0) continue
      const obstacle = jointFault(meet)
      if (obstacle !== undefined) return failed([index, 'availabilityCondition', 'expression'], obstacle)
      meets.push(meet)
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
  readonly conditions: readonly AccessBoundaryCondition[]
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

function meetOf(one: AccessBoundaryRule, other: AccessBoundaryRule): Meet {
  const first = one.availabilityCondition
  const second = other.availabilityCondition
  const isSame = first !== undefined && second !== undefined && textOf(first) === textOf(second)
  return {
    resource: one.availableResource,
    permissions: meetPermissions(one.availablePermissions, other.availablePermissions),
    conditions: [first, isSame ? undefined : second].filter((condition) => condition !== undefined),
  }
}

function meetPermissions(some: readonly string[], others: readonly string[]): readonly string[] {
  const common = some.flatMap((one) => others.map((other) => narrowerPermission(one, other)))
  return [...new Set(common)].filter((permission) => permission !== undefined)
}

/** Why the conditions cannot be joined by `&&`: one of them might not end where it seems to. */
function jointFault({ conditions }: Meet): string | undefined {
  if (conditions.length < 2) return undefined
  for (const { expression } of conditions) {
    const reading = readCel(expression)
    if (!reading.ok)
      return `cannot be joined with the condition that this caller has: one of them ${reading.fault}`
  }
  return undefined
}

/** Whether another of the rules reaches all that this one does; of two alike the first stays. */
function isRedundant(meet: Meet, index: number, meets: readonly Meet[]): boolean {
  return meets.some(
    (other, place) => place !== index && isWithin(meet, other) && (place < index || !isWithin(other, meet)),
  )
}

function isWithin(meet: Meet, wider: Meet): boolean {
  const texts = new Set(meet.conditions.map(textOf))
  return (
    meet.resource === wider.resource &&
    meet.permissions.every((permission) =>
      wider.permissions.some((other) => narrowerPermission(permission, other) === permission),
    ) &&
    wider.conditions.every((condition) => texts.has(textOf(condition)))
  )
}

function textOf({ expression }: AccessBoundaryCondition): string {
  return expression.trim()
}

function ruleOf({ resource, permissions, conditions }: Meet): AccessBoundaryRule {
  const [only, ...others] = conditions
  if (only === undefined) return { availableResource: resource, availablePermissions: permissions }
  const expression = conditions.map((condition) => `(${textOf(condition)})`).join(' && ')
  return {
    availableResource: resource,
    availablePermissions: permissions,
    availabilityCondition: others.length === 0 ? only : { expression },
  }
}
