import type { GrantedCredential } from './grant.ts'

/** What was used lately, within a bound. */
export interface RecentlyUsed<Value> {
  /** Counts as use. */
  get(key: string): Value | undefined
  has(key: string): boolean
  set(key: string, value: Value): void
  delete(key: string): void
  /** How many there were. */
  deleteWhere(isDead: (key: string) => boolean): number
  isEmpty(): boolean
}

export interface RecentlyUsedBounds<Value> {
  /** Of all entries together, in the unit of `sizeOf`; without that their number. */
  readonly sizeMax: number
  readonly sizeOf?: (value: Value, key: string) => number
}

/**
 * Two generations: what is used moves to the young one, and when that is half of the bound the old one is forgotten.
 * So at least the last half of the bound is kept, never more than the bound, and an entry larger than half of it is
 * not kept at all. A use of what is young costs one look.
 */
// Ours, because all that is needed of lru-cache is this.
export function createRecentlyUsed<Value>({
  sizeMax,
  sizeOf = () => 1,
}: RecentlyUsedBounds<Value>): RecentlyUsed<Value> {
  const half = sizeMax / 2
  let young = new Map<string, Entry<Value>>()
  let old = new Map<string, Entry<Value>>()
  let youngSize = 0

  const remove = (key: string): void => {
    const entry = young.get(key)
    if (entry !== undefined) {
      youngSize -= entry.size
      young.delete(key)
    }
    old.delete(key)
  }

  const add = (key: string, entry: Entry<Value>): void => {
    if (youngSize + entry.size > half && young.size > 0) {
      old = young
      young = new Map()
      youngSize = 0
    }
    young.set(key, entry)
    youngSize += entry.size
  }

  return {
    get: (key) => {
      const held = young.get(key)
      if (held !== undefined) return held.value
      const entry = old.get(key)
      if (entry === undefined) return undefined
      old.delete(key)
      add(key, entry)
      return entry.value
    },
    has: (key) => young.has(key) || old.has(key),
    set: (key, value) => {
      remove(key)
      const size = sizeOf(value, key)
      if (size <= Math.max(half, 1)) add(key, { value, size })
    },
    delete: remove,
    deleteWhere: (isDead) => {
      const dead = [...young.keys(), ...old.keys()].filter(isDead)
      dead.forEach(remove)
      return dead.length
    },
    isEmpty: () => young.size === 0 && old.size === 0,
  }
}

interface Entry<Value> {
  readonly value: Value
  readonly size: number
}

/** A version of a credential that the grant names. */
export type VersionName = Pick<GrantedCredential, 'name' | 'version'>

/**
 * What is made of a credential version, read and made at its first use only: a version never changes. Whether it may be
 * used is decided before, on every request. A failure is not remembered.
 */
export function createOncePerVersion<T extends object>(
  sizeMax: number,
  make: (version: VersionName) => Promise<T>,
): (version: VersionName) => Promise<T> {
  const known = createRecentlyUsed<T>({ sizeMax })

  return async ({ name, version }) => {
    const place = JSON.stringify([name, version])
    const held = known.get(place)
    if (held !== undefined) return held
    // Two requests may make it at once: on Workers one must not await the other's promise.
    const made = await make({ name, version })
    known.set(place, made)
    return made
  }
}
