/** Google's Credential Access Boundary: the token reaches the union of the rules and nothing else. */
export type AccessBoundary = readonly AccessBoundaryRule[]

export interface AccessBoundaryRule {
  /** Full resource name, such as `//storage.googleapis.com/projects/_/buckets/NAME`. */
  readonly availableResource: string
  /** `inRole:` and a predefined or custom role; at least one. */
  readonly availablePermissions: readonly string[]
  readonly availabilityCondition?: AccessBoundaryCondition
}

/** How a boundary is put on a token, and why so. */
export interface Bounding {
  /** `sealed`: locally, behind an intermediary token. `exchanged`: by the Security Token Service. */
  readonly way: 'sealed' | 'exchanged'
  /** What an exchange begins with: a token of the granted scopes, or one of cloud-platform, which the boundary alone narrows. */
  readonly source: BoundarySource
  readonly why: string
}

export type BoundarySource = 'granted' | 'cloud-platform'

export interface AccessBoundaryCondition {
  /** A CEL expression. */
  readonly expression: string
  readonly title?: string
  readonly description?: string
}
