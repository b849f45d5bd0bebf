import type { AccessBoundary, AccessBoundaryRule } from '../domain/access-boundary.ts'
import {
  parseCondition,
  type ConditionFault,
  formatCondition,
  mapLiterals,
  partsOf,
  type Condition,
} from '../domain/boundary-condition.ts'
import { fault, type Result } from '../domain/result.ts'
import { type Claims, claimNameFault, createFindClaim } from '../domain/caller.ts'
import { quote } from '../domain/text.ts'

const rulesMax = 10
const charactersMax = 2048
const resource = /^\/\/storage\.googleapis\.com\/projects\/_\/buckets\/[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/
const permission = /^inRole:(?:(?:organizations|projects)\/[A-Za-z0-9_.:-]+\/)?roles\/[A-Za-z0-9_.]+$/

export interface BoundaryFault {
  readonly path: readonly (string | number)[]
  readonly text: string
  /** Of a condition: the expression, and where in it. */
  readonly within?: TextPlace
}

/** A place inside of a text. */
export interface TextPlace {
  readonly text: string
  readonly offset: number
}

/**
 * Everything for which Google would refuse this boundary, found before a token is asked for; empty if nothing.
 * Source: docs/google.md §2.2 (Credential Access Boundary: at most 10 rules and 2048 characters, Cloud Storage only).
 */
export function boundaryFaults(boundary: AccessBoundary): readonly BoundaryFault[] {
  const faults: BoundaryFault[] = []
  if (boundary.length === 0) faults.push({ path: [], text: 'needs at least one rule' })
  if (boundary.length > rulesMax) faults.push({ path: [], text: `has more than ${rulesMax} rules` })
  if (JSON.stringify({ accessBoundaryRules: boundary }).length > charactersMax)
    faults.push({ path: [], text: `is longer than ${charactersMax} characters as JSON` })
  for (const [index, rule] of boundary.entries()) faults.push(...ruleFaults(rule, index))
  return faults
}

function ruleFaults(rule: AccessBoundaryRule, index: number): BoundaryFault[] {
  const faults: BoundaryFault[] = []
  if (!resource.test(rule.availableResource))
    faults.push({
      path: [index, 'availableResource'],
      text: 'must be //storage.googleapis.com/projects/_/buckets/BUCKET: boundaries hold for Cloud Storage only',
    })
  if (rule.availablePermissions.length === 0)
    faults.push({ path: [index, 'availablePermissions'], text: 'needs at least one permission' })
  for (const [place, text] of rule.availablePermissions.entries())
    if (!permission.test(text))
      faults.push({
        path: [index, 'availablePermissions', place],
        text: 'must be inRole:roles/ROLE or inRole:organizations/ID/roles/ROLE',
      })
  const expression = rule.availabilityCondition?.expression
  if (expression === undefined) return faults
  const path = [index, 'availabilityCondition', 'expression']
  if (expression.trim() === '' || expression.length > charactersMax)
    return [...faults, { path, text: `must have 1 to ${charactersMax} characters` }]
  const parsed = parseCondition(expression)
  return parsed.ok ? faults : [...faults, { path, ...conditionFault(expression, parsed.fault) }]
}

/** What is wrong with a condition, and where, for whoever wrote it. */
export function conditionFault(text: string, fault: ConditionFault): Omit<BoundaryFault, 'path'> {
  const before = text.slice(0, fault.offset).split('\n')
  const column = (before.at(-1)?.length ?? 0) + 1
  const line = before.length === 1 ? '' : `line ${before.length}, `
  return { text: `${fault.text} (${line}column ${column})`, within: { text, offset: fault.offset } }
}

/** `accessBoundaryRules[0].availablePermissions: …` */
export function describeBoundaryFault({ path, text }: BoundaryFault): string {
  return `accessBoundaryRules${path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}: ${text}`
}

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
      ...(when !== undefined && {
        availabilityCondition: { ...when, expression: when.expression.replaceAll(variable, sample) },
      }),
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
      ...(when !== undefined && { availabilityCondition: { ...when, expression: expression.text } }),
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
