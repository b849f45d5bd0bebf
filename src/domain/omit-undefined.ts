/**
 * The members that are not `undefined`: for optional members, which under exactOptionalPropertyTypes are absent and
 * never `undefined`.
 */
export function omitUndefined<T extends object>(members: T): Defined<T> {
  const defined = Object.entries(members).filter(([, value]) => value !== undefined)
  // The filter makes it so; the compiler cannot follow it.
  return Object.fromEntries(defined) as Defined<T>
}

type Defined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K]
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}
