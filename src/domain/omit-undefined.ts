/**
 * The members that are not `undefined`: for optional members, which under exactOptionalPropertyTypes are absent and
 * never `undefined`.
 */
export function omitUndefined<T extends object>(members: T): Defined<T> {
  const defined: Record<string, unknown> = {}
  // A loop: every request comes by here several times.
  for (const name in members) if (members[name] !== undefined) defined[name] = members[name]
  // The condition makes it so; the compiler cannot follow it.
  return defined as Defined<T>
}

type Defined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K]
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}
