import { type Caller, type Claims, type Json, createFindClaim } from '../domain/caller.ts'
import type { CallerPattern } from '../domain/policy.ts'
import { isList } from '../domain/json.ts'

export type MatchCaller = (caller: Caller) => boolean

/**
 * Whether a caller fits a pattern in every part: the exact issuer, the whole subject, every claim. What is missing
 * does not match; nothing is matched by inheritance, prefix, case folding or normalisation.
 * `issuer` is the exact `iss` that the pattern's issuer name stands for.
 */
export function createMatchCaller(pattern: CallerPattern, issuer: string): MatchCaller {
  const matchSubject = createMatchText(pattern.subject)
  const claims = Object.entries(pattern.claims).map(([name, wanted]) => createMatchClaim(name, wanted))
  // The `iss` itself, not the name: names may be given anew while a request is on its way.
  const takesAccessToken = namesClient(pattern)
  return (caller) =>
    caller.issuer === issuer &&
    (caller.provedByAccessToken !== true || takesAccessToken) &&
    matchSubject(caller.subject) &&
    claims.every((matchClaim) => matchClaim(caller.claims))
}

/** Whether it says for which OAuth client it is, without which it takes no access token (T8). */
export function namesClient({ claims }: CallerPattern): boolean {
  return Object.hasOwn(claims, 'client_id') || Object.hasOwn(claims, '/client_id')
}

/**
 * Whether a whole text fits a pattern in which `*` stands for one or more characters other than `:` and `/`, and
 * every other character for itself. Takes time in proportion to the text, whatever the pattern.
 */
// No regular expression: one with several stars takes polynomial time on hostile text.
export function createMatchText(pattern: string): (text: string) => boolean {
  if (!pattern.includes('*')) return (text) => text === pattern
  const separators = separatorsOf(pattern)
  const segments = pattern.split(separator).map(createMatchSegment)
  const head = pattern.slice(0, pattern.indexOf('*'))
  return (text) => {
    if (!text.startsWith(head) || separatorsOf(text) !== separators) return false
    const parts = text.split(separator)
    return segments.every((matchSegment, index) => matchSegment(parts[index] ?? ''))
  }
}

/** Why a text cannot serve as a pattern, or `undefined`. */
export function patternFault(pattern: string): string | undefined {
  if (pattern === '') return 'must not be empty'
  return pattern.includes('**')
    ? 'must not contain **: a * stands for anything within one : or / segment'
    : undefined
}

const separator = /[:/]/

function separatorsOf(text: string): string {
  return text.replaceAll(/[^:/]+/g, '*')
}

function createMatchSegment(pattern: string): (text: string) => boolean {
  const pieces = pattern.split('*')
  const [head = '', ...rest] = pieces
  const tail = rest.pop()
  if (tail === undefined) return (text) => text === pattern
  return (text) => {
    const end = text.length - tail.length
    if (!text.startsWith(head) || !text.endsWith(tail)) return false
    let at = head.length
    // Each star takes at least one character, and the leftmost place of a piece leaves the most for the rest.
    for (const piece of rest) {
      const found = text.indexOf(piece, at + 1)
      if (found === -1) return false
      at = found + piece.length
    }
    return at < end
  }
}

/** Whether a claim has the wanted value, or is a list that holds it. */
export function createMatchClaim(name: string, wanted: Json): (claims: Claims) => boolean {
  const findClaim = createFindClaim(name)
  const matchValue = createMatchValue(wanted)
  return (claims) => {
    const found = findClaim(claims)
    if (found === undefined) return false
    return isList(found) ? found.some(matchValue) : matchValue(found)
  }
}

function createMatchValue(wanted: Json): (value: Json) => boolean {
  if (typeof wanted !== 'string') return (value) => value === wanted
  const matchText = createMatchText(wanted)
  return (value) => typeof value === 'string' && matchText(value)
}
