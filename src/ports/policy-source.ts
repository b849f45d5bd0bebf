/** A policy document as it lies somewhere, unread. */
export interface PolicyDocument {
  readonly text: string
  /** Changes whenever the text may have changed. */
  readonly revision: string
  /** For people: `file policy.yaml`, `setting DOWNSCOPE_POLICY_YAML`, `store version 7`. */
  readonly origin: string
}

/** Where the policy comes from. */
export interface PolicySource {
  /**
   * The document now, or `undefined` when it is still at `known`. Throws `policy_unavailable` when there is none or
   * it cannot be read.
   */
  read(known?: string): Promise<PolicyDocument | undefined>
}
