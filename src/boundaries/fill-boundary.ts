import { fault, type Result } from '../domain/result.ts'
import type { AccessBoundary, AccessBoundaryRule } from '../domain/access-boundary.ts'
import {
  formatCondition,
  mapLiterals,
  parseCondition,
  partsOf,
  type Condition,
} from '../domain/boundary-condition.ts'
import { type Claims, claimNameFault, createFindClaim } from '../domain/caller.ts'
import { quote } from '../domain/text.ts'
import { boundaryFaults, conditionFault, describeBoundaryFault, type BoundaryFault } from './boundary.ts'

/** A fault says which claim is to blame, or which limit. */
export type FillBoundary = (claims: Claims) => Result<AccessBoundary>

// A quote, a backslash or a brace in a JSON Pointer would end the variable early.
const variable = /\$\{claims\.(?<name>[A-Za-z_][\w\-]*|\/[^'"\\\{\}\p{Cc}]*)\}/gv

/**
 * A rule's boundary for a caller of these claims: each `${claims.NAME}` replaced by what the claim says. In a condition
 * the claim goes into the tree that was parsed before, so that it is text and never more than that, whatever it holds;
 * in a bucket's name it may only have what such a name has. No boundary where a claim is missing, no text or empty, or where the limits are passed.
 */
export function createFillBoundary(boundary: AccessBoundary): FillBoundary {
  if (!boundary.some(hasVariable)) {
    const filled = { ok: true, value: boundary } as const
    return () => filled
  }
  const rules = boundary.map(createFillRule)
  return (claims) => {
    const filled: AccessBoundaryRule[] = []
    for (const fillRule of rules) {
      const rule = fillRule(claims)
      if (typeof rule === 'string') return fault(rule)
      filled.push(rule)
    }
    const [first] = boundaryFaults(filled)
    if (first !== undefined) return fault(`with the caller's claims, ${describeBoundaryFault(first)}`)
    return { ok: true, value: filled }
  }
}

/**
 * Everything that is wrong with the variables of a boundary, and with the conditions that they stand in: those are
 * parsed as they are written, for a variable is text as well.
 */
export function variableFaults(boundary: AccessBoundary): readonly BoundaryFault[] {
  return boundary.flatMap((rule, index) => {
    const { expression, title = '', description = '' } = rule.availabilityCondition ?? {}
    const faults: BoundaryFault[] = []
    const note = (place: BoundaryFault['path'], text: string | undefined): void => {
      if (text !== undefined) faults.push({ path: [index, ...place], text })
    }
    note(['availableResource'], nameFault(rule.availableResource))
    for (const [member, text] of Object.entries({ title, description }))
      if (text.includes('${')) note(['availabilityCondition', member], 'takes no variable')
    if (expression === undefined || expression.trim() === '') return faults
    const path = [index, 'availabilityCondition', 'expression']
    note(['availabilityCondition', 'expression'], nameFault(expression))
    const parsed = parseCondition(expression)
    if (!parsed.ok) return [...faults, { path, ...conditionFault(expression, parsed.fault) }]
    const inLiterals = literalsOf(parsed.condition).flatMap(namesIn)
    if (inLiterals.join() !== namesIn(expression).join())
      note(['availabilityCondition', 'expression'], 'a variable must be inside a string literal')
    return faults
  })
}

/** The claims that the variables of a boundary name. */
export function claimsInBoundary(boundary: AccessBoundary): readonly string[] {
  return boundary.flatMap(({ availableResource, availabilityCondition }) =>
    [availableResource, availabilityCondition?.expression ?? ''].flatMap(namesIn),
  )
}

/** The boundary with something short in place of each variable: what is at fault in it is at fault for every caller. */
export function sampleBoundary(boundary: AccessBoundary): AccessBoundary {
  return boundary.map((rule) => {
    const { availableResource, availabilityCondition: when } = rule
    return {
      ...rule,
      availableResource: availableResource.replaceAll(variable, sample),
      ...(when === undefined
        ? {}
        : { availabilityCondition: { ...when, expression: when.expression.replaceAll(variable, sample) } }),
    }
  })
}

// Long enough to be a bucket's name by itself.
const sample = 'xxx'

function hasVariable({ availableResource, availabilityCondition }: AccessBoundaryRule): boolean {
  return [availableResource, availabilityCondition?.expression].some((text) => text?.includes('${'))
}

function namesIn(text: string): readonly string[] {
  return [...text.matchAll(variable)].map(({ groups }) => groups?.['name'] ?? '')
}

function nameFault(text: string): string | undefined {
  const names = namesIn(text)
  if (text.split('${').length - 1 > names.length)
    return 'a variable is written ${claims.NAME} or ${claims./JSON/POINTER}'
  return names.map(claimNameFault).find((fault) => fault !== undefined)
}

function literalsOf(condition: Condition): readonly string[] {
  return condition.kind === 'literal' ? [condition.value] : partsOf(condition).flatMap(literalsOf)
}

type FillText = (claims: Claims) => { readonly text: string } | string

function createFillRule(rule: AccessBoundaryRule): (claims: Claims) => AccessBoundaryRule | string {
  const { availableResource, availabilityCondition: when, ...others } = rule
  const fillResource = createFillText(availableResource, asBucketName)
  const fillExpression = createFillExpression(when?.expression ?? '')
  return (claims) => {
    const resource = fillResource(claims)
    if (typeof resource === 'string') return resource
    const expression = fillExpression(claims)
    if (typeof expression === 'string') return expression
    return {
      availableResource: resource.text,
      ...others,
      ...(when === undefined ? {} : { availabilityCondition: { ...when, expression: expression.text } }),
    }
  }
}

function createFillExpression(expression: string): FillText {
  const parsed = parseCondition(expression)
  if (!parsed.ok || namesIn(expression).length === 0) return () => ({ text: expression })
  const fills = new Map(
    literalsOf(parsed.condition).map((literal) => [literal, createFillText(literal, asWellFormed)]),
  )
  return (claims) => {
    let fault: string | undefined
    const filled = mapLiterals(parsed.condition, (literal) => {
      const text = fills.get(literal)?.(claims) ?? { text: literal }
      if (typeof text !== 'string') return text.text
      fault ??= text
      return literal
    })
    return fault ?? { text: formatCondition(filled) }
  }
}

/** `fit` makes of a claim what can stand in the text, or nothing. */
function createFillText(template: string, fit: (claim: string) => string | undefined): FillText {
  const variables = [...template.matchAll(variable)].map(({ 0: text, index, groups }) => {
    const name = groups?.['name'] ?? ''
    return { index, end: index + text.length, name, findClaim: createFindClaim(name) }
  })
  return (claims) => {
    let text = ''
    let at = 0
    for (const { index, end, name, findClaim } of variables) {
      const claim = findClaim(claims)
      if (typeof claim !== 'string')
        return `the claim ${quote(name)} is ${claim === undefined ? 'missing' : 'no text'}`
      // An empty text would make of "begins with the claim" a condition that always holds.
      const fitting = claim === '' ? undefined : fit(claim)
      if (fitting === undefined)
        return `the claim ${quote(name)} cannot stand in the boundary: ${quote(claim)}`
      text += template.slice(at, index) + fitting
      at = end
    }
    return { text: text + template.slice(at) }
  }
}

function asBucketName(claim: string): string | undefined {
  return /^[a-z0-9._\-]+$/v.test(claim) ? claim : undefined
}

function asWellFormed(claim: string): string | undefined {
  return claim.isWellFormed() ? claim : undefined
}
