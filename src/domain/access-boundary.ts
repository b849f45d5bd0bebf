/** Google's Credential Access Boundary: the token reaches the union of the rules and nothing else. */
export type AccessBoundary = readonly AccessBoundaryRule[]

export interface AccessBoundaryRule {
  /** Full resource name, such as `//storage.googleapis.com/projects/_/buckets/NAME`. */
  readonly availableResource: string
  /** `inRole:` and a predefined or custom role; at least one. */
  readonly availablePermissions: readonly string[]
  readonly availabilityCondition?: AccessBoundaryCondition
}

export interface AccessBoundaryCondition {
  /** A CEL expression. */
  readonly expression: string
  readonly title?: string
  readonly description?: string
}
