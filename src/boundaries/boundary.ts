import type { AccessBoundary, AccessBoundaryRule } from '../domain/access-boundary.ts'

const rulesMax = 10
const charactersMax = 2048
const resource = /^\/\/storage\.googleapis\.com\/projects\/_\/buckets\/[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/
const permission = /^inRole:(?:(?:organizations|projects)\/[A-Za-z0-9_.:-]+\/)?roles\/[A-Za-z0-9_.]+$/

export interface BoundaryFault {
  readonly path: readonly (string | number)[]
  readonly text: string
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
  if (expression !== undefined && (expression.trim() === '' || expression.length > charactersMax))
    faults.push({
      path: [index, 'availabilityCondition', 'expression'],
      text: `must have 1 to ${charactersMax} characters`,
    })
  return faults
}

/** `accessBoundaryRules[0].availablePermissions: …` */
export function describeBoundaryFault({ path, text }: BoundaryFault): string {
  return `accessBoundaryRules${path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}: ${text}`
}
