import type { Policy } from '../domain/policy.ts'
import { claimsInBoundary } from './fill-boundary.ts'
import { unescapeStep } from './find-claim.ts'

/** The top-level claims that some rule's callers are told by, or its boundary speaks of, `sub` aside. */
export function claimsLookedAt({ rules }: Policy): ReadonlySet<string> {
  return new Set(
    rules.flatMap(({ callers, boundary }) =>
      [...callers.flatMap(({ claims }) => Object.keys(claims)), ...claimsInBoundary(boundary)].map(
        topLevelName,
      ),
    ),
  )
}

/** The top-level claims that roles come from. */
export function claimsForRoles({ admins }: Policy): ReadonlySet<string> {
  const patterns = admins.flatMap(({ callers }) => callers)
  return new Set(patterns.flatMap(({ claims }) => Object.keys(claims)).map(topLevelName))
}

/** A name stands for itself, and of a JSON Pointer the first step counts (RFC 6901 §4). */
function topLevelName(name: string): string {
  return name.startsWith('/') ? unescapeStep(name.slice(1).split('/')[0] ?? '') : name
}
