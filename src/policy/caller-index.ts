import type { Caller } from '../domain/caller.ts'
import type { CallerPattern } from '../domain/policy.ts'
import { createMatchCaller, type MatchCaller } from './match-caller.ts'

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
