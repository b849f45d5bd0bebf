import type { Json } from '../domain/caller.ts'
import type { CallerPattern, Policy, Rule } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import { createMatchText } from './match-caller.ts'
import type { Report } from './policy-faults.ts'

/**
 * Warns of rules, and of callers in them, for whom an earlier rule for the same credential always decides. Only what is
 * certain: one pattern of the earlier rule takes everybody whom the later one takes.
 */
export function warnOfShadows({ rules }: Policy, warn: Report): void {
  for (const [index, rule] of rules.entries()) {
    const earlier = rules.slice(0, index).filter(({ credential }) => credential === rule.credential)
    const taken = rule.callers.map((caller) => earlier.find((other) => takes(other, caller)))
    const by = [...new Set(taken)].filter((other) => other !== undefined).map(({ name }) => quote(name))
    if (!taken.includes(undefined)) {
      warn(['rules', index], `is never reached: ${by.join(', ')} above takes every caller it names`)
      continue
    }
    for (const [place, other] of taken.entries())
      if (other !== undefined)
        warn(['rules', index, 'callers', place], `is never reached: ${quote(other.name)} above takes it`)
  }
}

function takes({ callers }: Rule, caller: CallerPattern): boolean {
  return callers.some((pattern) => isWithin(caller, pattern))
}

/** Whether whoever fits `pattern` fits `wider`. */
function isWithin(pattern: CallerPattern, wider: CallerPattern): boolean {
  return (
    pattern.issuer === wider.issuer &&
    isTextWithin(pattern.subject, wider.subject) &&
    Object.entries(wider.claims).every(
      ([name, wanted]) =>
        Object.hasOwn(pattern.claims, name) && isValueWithin(pattern.claims[name] ?? null, wanted),
    )
  )
}

/** A star of `wider` covers a star of `pattern` as it covers any sign; nothing else of `wider` matches a star. */
function isTextWithin(pattern: string, wider: string): boolean {
  return createMatchText(wider)(pattern)
}

function isValueWithin(value: Json, wider: Json): boolean {
  return typeof value === 'string' && typeof wider === 'string' ? isTextWithin(value, wider) : value === wider
}
