import type { AccessBoundary, AccessBoundaryRule } from '../domain/access-boundary.ts'
import { parseCondition, type ConditionFault } from '../domain/boundary-condition.ts'

const rulesMax = 10
const charactersMax = 2048
const resource = /^\/\/storage\.googleapis\.com\/projects\/_\/buckets\/[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/
const permission = /^inRole:(?:(?:organizations|projects)\/[A-Za-z0-9_.:-]+\/)?roles\/[A-Za-z0-9_.]+$/

export interface BoundaryFault {
  readonly path: readonly (string | number)[]
  readonly text: string
  /** Of a condition: the expression, and where in it. */
  readonly within?: TextPlace
}

/** A place inside of a text. */
export interface TextPlace {
  readonly text: string
  readonly offset: number
}

/**
 * Everything for which Google would refuse this boundary, found before a token is asked for; empty if nothing.
 * Source: docs/google.md §2.2 (Credential Access Boundary: at most 10 rules and 2048 characters, Cloud Storage only).
 */
export function boundaryFaults(boundary: AccessBoundary): readonly BoundaryFault[] {
  const faults: BoundaryFault[] = []
  if (boundary.length === 0) faults.push({ path: [], text: 'needs at least one rule' })
  if (boundary.length > rulesMax) faults.push({ path: [], text: `has more than ${rulesMax} rules` })
  if (JSON.stringify({ accessBoundaryRules: boundary }).length > charactersMax)
    faults.push({ path: [], text: `is longer than ${charactersMax} characters as JSON` })
  for (const [index, rule] of boundary.entries()) faults.push(...ruleFaults(rule, index))
  return faults
}

function ruleFaults(rule: AccessBoundaryRule, index: number): BoundaryFault[] {
  const faults: BoundaryFault[] = []
  if (!resource.test(rule.availableResource))
    faults.push({
      path: [index, 'availableResource'],
      text: 'must be //storage.googleapis.com/projects/_/buckets/BUCKET: boundaries hold for Cloud Storage only',
    })
  if (rule.availablePermissions.length === 0)
    faults.push({ path: [index, 'availablePermissions'], text: 'needs at least one permission' })
  for (const [place, text] of rule.availablePermissions.entries())
    if (!permission.test(text))
      faults.push({
        path: [index, 'availablePermissions', place],
        text: 'must be inRole:roles/ROLE or inRole:organizations/ID/roles/ROLE',
      })
  const expression = rule.availabilityCondition?.expression
  if (expression === undefined) return faults
  const path = [index, 'availabilityCondition', 'expression']
  if (expression.trim() === '' || expression.length > charactersMax)
    return [...faults, { path, text: `must have 1 to ${charactersMax} characters` }]
  const parsed = parseCondition(expression)
  return parsed.ok ? faults : [...faults, { path, ...conditionFault(expression, parsed.fault) }]
}

/** What is wrong with a condition, and where, for whoever wrote it. */
export function conditionFault(text: string, fault: ConditionFault): Omit<BoundaryFault, 'path'> {
  const before = text.slice(0, fault.offset).split('\n')
  const column = (before.at(-1)?.length ?? 0) + 1
  const line = before.length === 1 ? '' : `line ${before.length}, `
  return { text: `${fault.text} (${line}column ${column})`, within: { text, offset: fault.offset } }
}

/** `accessBoundaryRules[0].availablePermissions: …` */
export function describeBoundaryFault({ path, text }: BoundaryFault): string {
  return `accessBoundaryRules${path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}: ${text}`
}
