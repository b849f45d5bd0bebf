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
  if (one === other || isWithin(one, other)) return one
  return isWithin(other, one) ? other : undefined
}

function isWithin(permission: string, wider: string): boolean {
  return containedRoles.get(roleOf(wider))?.has(roleOf(permission)) ?? false
}

function roleOf(permission: string): string {
  return permission.replace(/^inRole:/, '')
}

function below(role: string): readonly string[] {
  return (contained[role] ?? []).flatMap((inner) => [inner, ...below(inner)])
}
