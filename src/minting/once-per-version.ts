import type { GrantedCredential } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'

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
