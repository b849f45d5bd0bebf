/** Who may do one thing with what. */
export type Permissions = {
  readonly allow: (from: string, to: string) => void
  readonly withdraw: (from: string, to: string) => void
  readonly has: (from: string, to: string) => boolean
}

export function createPermissions(): Permissions {
  const pairs = new Map<string, Set<string>>()
  return {
    allow: (from, to) => {
      pairs.set(from, (pairs.get(from) ?? new Set()).add(to))
    },
    withdraw: (from, to) => {
      pairs.get(from)?.delete(to)
    },
    has: (from, to) => pairs.get(from)?.has(to) ?? false,
  }
}
