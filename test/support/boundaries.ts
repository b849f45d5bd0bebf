import type { AccessBoundaryCondition, AccessBoundaryRule } from '../../src/domain/access-boundary.ts'

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
