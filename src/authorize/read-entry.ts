import en from 'zod/v4/locales/en.js'
import type * as z from 'zod/mini'

import type { Json } from '../domain/caller.ts'
import { isList, memberOf } from './json-member.ts'
import type { Path, Report } from './policy-faults.ts'

/**
 * What `schema` makes of `value`, every fault reported where it is. With unknown keys as its only faults an entry is
 * still read, so that what else is wrong with it shows in the same run.
 */
export function readEntry<Entry>(
  schema: z.ZodMiniType<Entry>,
  value: Json,
  place: EntryPlace,
): Entry | undefined {
  const result = schema.safeParse(value, { error: wording })
  if (result.success) return result.data
  const { issues } = result.error
  for (const issue of issues) reportIssue(issue, value, place)
  const unknown = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [],
  )
  if (issues.some((issue) => issue.code !== 'unrecognized_keys') || unknown.length > strippedMax)
    return undefined
  return schema.safeParse(unknown.reduce(without, value)).data
}

/** zod/mini says nothing but "Invalid input" of itself. */
const wording = en().localeError

// More unknown keys than this are no slip of the hand, and taking each out would take its time.
const strippedMax = 20

export interface EntryPlace {
  readonly path: Path
  readonly report: Report
}

function reportIssue(issue: z.core.$ZodIssue, value: Json, { path, report }: EntryPlace): void {
  const inner = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') {
    const lines = issue.message.split('\n')
    for (const [index, key] of issue.keys.entries())
      report([...path, ...inner, key], lines[index] ?? '', 'key')
    return
  }
  if (issue.code === 'invalid_key')
    report([...path, ...inner], issue.issues[0]?.message ?? issue.message, 'key')
  else report([...path, ...inner], isMissing(value, inner) ? 'is missing' : describeIssue(issue))
}

function isMissing(value: Json, path: Path): boolean {
  let found: Json | undefined = value
  for (const step of path) found = found === undefined ? undefined : memberOf(found, String(step))
  return found === undefined
}

function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_union') return describeUnion(issue)
  if (issue.code !== 'invalid_type')
    return issue.message.replace(/^(?:Invalid input|Invalid option|Too \w+): /, '')
  const text = issue.message.replace(/^Invalid input: /, '')
  return issue.expected === 'string' && /(?:number|boolean|null)$/.test(text)
    ? `${text}; put it in quotes`
    : text
}

/** A branch that took the value's type and found another fault says more than "none of these". */
function describeUnion(issue: z.core.$ZodIssueInvalidUnion): string {
  const specific = issue.errors.flat().find((inner) => inner.code !== 'invalid_type')
  return specific?.message ?? issue.message
}

function without(value: Json, path: readonly PropertyKey[]): Json {
  const [step, ...rest] = path
  if (typeof value !== 'object' || value === null || step === undefined) return value
  if (isList(value)) return value.map((item, index) => (index === step ? without(item, rest) : item))
  const members = Object.entries(value)
  return Object.fromEntries(
    rest.length === 0
      ? members.filter(([name]) => name !== step)
      : members.map(([name, item]) => [name, name === step ? without(item, rest) : item]),
  )
}
