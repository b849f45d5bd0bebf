import type { Policy } from '../domain/policy.ts'
import { unescapeStep } from './match-caller.ts'

/** The top-level claims that some rule's callers are told by, `sub` aside. */
export function claimsLookedAt({ rules }: Policy): ReadonlySet<string> {
  return new Set(
    rules.flatMap(({ callers }) => callers.flatMap(({ claims }) => Object.keys(claims).map(topLevelName))),
  )
}

/** A name stands for itself, and of a JSON Pointer the first step counts (RFC 6901 §4). */
function topLevelName(name: string): string {
  return name.startsWith('/') ? unescapeStep(name.slice(1).split('/')[0] ?? '') : name
}
