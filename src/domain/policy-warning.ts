/** What a policy may say and probably should not: no fault, it means what it says. */
export interface PolicyWarning {
  /** From 1, as editors count; likewise `column`. */
  readonly line: number
  readonly column: number
  /** Such as `rules[0].scopes[1]`. */
  readonly path: string
  readonly text: string
}
