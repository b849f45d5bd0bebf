import type { Json } from '../domain/caller.ts'

/** An own member of an object, or an element of a list by its index (RFC 6901 §4); never an inherited one. */
export function memberOf(value: Json, step: string): Json | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (isList(value)) return /^(?:0|[1-9]\d*)$/.test(step) ? value[Number(step)] : undefined
  return Object.hasOwn(value, step) ? value[step] : undefined
}

/** What `Array.isArray` says, which does not narrow a readonly list. */
export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
