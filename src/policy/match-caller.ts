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

/** A pattern, the exact `iss` that its issuer's name stands for, and what it is for. */
export interface IndexedPattern<Value> {
  readonly pattern: CallerPattern
  readonly issuer: string
  readonly value: Value
}

/** Patterns in the order of the policy, found by issuer and subject without trying each. */
export interface CallerIndex<Value> {
  /** What the first pattern that takes the caller is for. */
  readonly first: (caller: Caller) => Value | undefined
  /** What every pattern that takes the caller is for. */
  readonly all: (caller: Caller) => readonly Value[]
}

interface Entry<Value> extends IndexedPattern<Value> {
  readonly order: number
  matchCaller?: MatchCaller
}

/** Of one issuer: by the whole subject, and by what a subject with a star begins with. */
interface Bucket<Value> {
  readonly exact: Map<string, Entry<Value>[]>
  readonly byHead: Map<string, Entry<Value>[]>
  readonly headLengths: Set<number>
}

export function createCallerIndex<Value>(patterns: readonly IndexedPattern<Value>[]): CallerIndex<Value> {
  const buckets = new Map<string, Bucket<Value>>()
  for (const [order, pattern] of patterns.entries())
    add(bucketOf(buckets, pattern.issuer), { ...pattern, order })

  const matching = (caller: Caller): readonly Entry<Value>[] => {
    const bucket = buckets.get(caller.issuer)
    return bucket === undefined ? [] : candidatesIn(bucket, caller.subject)
  }
  return {
    first: (caller) => {
      let first: Entry<Value> | undefined
      for (const entry of matching(caller))
        if ((first === undefined || entry.order < first.order) && takes(entry, caller)) first = entry
      return first?.value
    },
    all: (caller) =>
      matching(caller)
        .filter((entry) => takes(entry, caller))
        .map(({ value }) => value),
  }
}

function bucketOf<Value>(buckets: Map<string, Bucket<Value>>, issuer: string): Bucket<Value> {
  const known = buckets.get(issuer)
  if (known !== undefined) return known
  const bucket: Bucket<Value> = { exact: new Map(), byHead: new Map(), headLengths: new Set() }
  buckets.set(issuer, bucket)
  return bucket
}

function add<Value>({ exact, byHead, headLengths }: Bucket<Value>, entry: Entry<Value>): void {
  const { subject } = entry.pattern
  const star = subject.indexOf('*')
  const [map, key] = star === -1 ? [exact, subject] : [byHead, subject.slice(0, star)]
  if (star !== -1) headLengths.add(star)
  const entries = map.get(key)
  if (entries === undefined) map.set(key, [entry])
  else entries.push(entry)
}

function candidatesIn<Value>(
  { exact, byHead, headLengths }: Bucket<Value>,
  subject: string,
): readonly Entry<Value>[] {
  const found = exact.get(subject) ?? []
  if (headLengths.size === 0) return found
  const starred = Array.from(headLengths, (length) =>
    length < subject.length ? (byHead.get(subject.slice(0, length)) ?? []) : [],
  )
  return [found, ...starred].flat()
}

/** Made when it is first needed: most patterns of a long policy never are. */
function takes<Value>(entry: Entry<Value>, caller: Caller): boolean {
  entry.matchCaller ??= createMatchCaller(entry.pattern, entry.issuer)
  return entry.matchCaller(caller)
}
