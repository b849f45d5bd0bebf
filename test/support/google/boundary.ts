import { isBoundaryCondition } from './boundary-tokens.ts'
import { storageRoles } from './cloud-storage.ts'
import { refuse } from './refusals.ts'
import { isObject, type JsonObject } from './reply.ts'

/** A Credential Access Boundary, as Google's STS takes it (docs/google.md §2.2). */
export type AccessBoundary = {
  readonly accessBoundaryRules: readonly AccessBoundaryRule[]
}

export type AccessBoundaryRule = {
  readonly availableResource: string
  readonly availablePermissions: readonly string[]
  readonly availabilityCondition?: AvailabilityCondition
}

export type AvailabilityCondition = {
  readonly expression: string
  readonly title?: string
  readonly description?: string
}

const RULES_MAX = 10
const BOUNDARY_CHARACTERS_MAX = 2048
const EXPRESSION_CHARACTERS_MAX = 2048
const bucket = /^\/\/storage\.googleapis\.com\/projects\/_\/buckets\/[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/
const permission =
  /^inRole:(?:roles\/[a-z][a-zA-Z0-9]*\.[a-zA-Z0-9.]+|(?:organizations\/[0-9]+|projects\/[a-z][a-z0-9-]+)\/roles\/[a-zA-Z0-9_.]+)$/

/** The boundary inside the `options` parameter; anything Google would not take is refused. */
export function parseBoundaryOptions(options: string, takesAnyCondition = false): AccessBoundary {
  const parsed = parseOptions(options)
  onlyMembers(parsed, ['accessBoundary'], 'options')
  const boundary = parsed['accessBoundary']
  if (!isObject(boundary)) return bad('accessBoundary is missing')
  onlyMembers(boundary, ['accessBoundaryRules'], 'accessBoundary')
  if (JSON.stringify(boundary).length > BOUNDARY_CHARACTERS_MAX) return bad('accessBoundary too long')
  const rules = boundary['accessBoundaryRules']
  if (!Array.isArray(rules) || rules.length === 0) return bad('accessBoundaryRules is empty')
  if (rules.length > RULES_MAX) return bad('too many accessBoundaryRules')
  return { accessBoundaryRules: rules.map((rule: unknown) => parseRule(rule, takesAnyCondition)) }
}

/** JSON once form-encoded, or Python's JSON percent-encoded and then form-encoded (docs/google.md §2.1). */
export function parseOptions(options: string): JsonObject {
  const parsed = tryJson(options) ?? tryJson(percentDecoded(options))
  return isObject(parsed) ? parsed : bad('options is not a JSON object')
}

function parseRule(rule: unknown, takesAnyCondition: boolean): AccessBoundaryRule {
  if (!isObject(rule)) return bad('a rule is not an object')
  const members = ['availableResource', 'availablePermissions', 'availabilityCondition']
  onlyMembers(rule, members, 'rule')
  const availableResource = rule['availableResource']
  if (typeof availableResource !== 'string' || !bucket.test(availableResource)) {
    return bad('availableResource is not a Cloud Storage bucket')
  }
  const availablePermissions = parsePermissions(rule['availablePermissions'])
  const condition = rule['availabilityCondition']
  if (condition === undefined) return { availableResource, availablePermissions }
  return {
    availableResource,
    availablePermissions,
    availabilityCondition: parseCondition(condition, takesAnyCondition),
  }
}

function parsePermissions(permissions: unknown): readonly string[] {
  if (!Array.isArray(permissions) || permissions.length === 0) {
    return bad('availablePermissions is empty')
  }
  return permissions.map((one: unknown) => {
    const isRole = typeof one === 'string' && permission.test(one)
    if (!isRole) return bad('availablePermissions must be inRole:<role>')
    const role = one.replace(/^inRole:/, '')
    const isKnown = !role.startsWith('roles/') || role in storageRoles
    return isKnown ? one : bad(`role ${role} is not known`)
  })
}

function parseCondition(condition: unknown, takesAnyCondition: boolean): AvailabilityCondition {
  if (!isObject(condition)) return bad('availabilityCondition is not an object')
  onlyMembers(condition, ['expression', 'title', 'description'], 'availabilityCondition')
  const { expression, title, description } = condition
  if (typeof expression !== 'string' || expression === '') return bad('expression is missing')
  if (expression.length > EXPRESSION_CHARACTERS_MAX) return bad('expression too long')
  if (!takesAnyCondition && !isBoundaryCondition(expression))
    return bad('expression uses what boundaries do not have')
  return {
    expression,
    ...(title === undefined ? {} : { title: text(title) }),
    ...(description === undefined ? {} : { description: text(description) }),
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : bad('title and description are strings')
}

function onlyMembers(object: JsonObject, known: readonly string[], where: string): void {
  for (const name of Object.keys(object)) {
    if (!known.includes(name)) bad(`unknown member "${name}" in ${where}`)
  }
}

function tryJson(candidate: string | undefined): unknown {
  if (candidate === undefined) return undefined
  try {
    const parsed: unknown = JSON.parse(candidate)
    return parsed
  } catch {
    return undefined
  }
}

function percentDecoded(value: string): string | undefined {
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}

// Google's wording for these is not on record; the text is ours.
function bad(reason: string): never {
  return refuse('invalid_request', `Invalid access boundary: ${reason}`)
}
