import { expect, test } from 'vitest'

import { boundaryFaults, isContained } from '../../src/authorize/boundary.ts'
import { narrowBoundary } from '../../src/authorize/narrow-request.ts'
import type { AccessBoundary, AccessBoundaryRule } from '../../src/domain/access-boundary.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { policyOf, ruleWith } from '../support/policies.ts'

const bucket = (name: string) => `//storage.googleapis.com/projects/_/buckets/${name}`
const viewer = 'inRole:roles/storage.objectViewer'
const creator = 'inRole:roles/storage.objectCreator'

function reach(changes: Partial<AccessBoundaryRule> = {}): AccessBoundaryRule {
  return { availableResource: bucket('reports'), availablePermissions: [viewer], ...changes }
}

const under = (prefix: string) => ({
  expression: `resource.name.startsWith('projects/_/buckets/reports/objects/${prefix}')`,
})

test.each<[string, AccessBoundary]>([
  ['no rules', []],
  ['eleven rules', Array.from({ length: 11 }, () => reach())],
  ['more than 2048 characters', [reach({ availabilityCondition: under('x'.repeat(1900)) })]],
  ['another service', [reach({ availableResource: '//bigquery.googleapis.com/projects/_/buckets/reports' })]],
  ['an object instead of a bucket', [reach({ availableResource: `${bucket('reports')}/objects/a` })]],
  ['another project', [reach({ availableResource: '//storage.googleapis.com/projects/p/buckets/reports' })]],
  ['no permission', [reach({ availablePermissions: [] })]],
  ['a bare permission', [reach({ availablePermissions: ['storage.objects.get'] })]],
  ['an empty condition', [reach({ availabilityCondition: { expression: ' ' } })]],
])('a boundary with %s is at fault', (_, boundary) => {
  expect(boundaryFaults(boundary)).not.toEqual([])
})

test('what Google takes is not at fault', () => {
  const custom = 'inRole:organizations/123/roles/my_Role'

  expect(
    boundaryFaults([reach({ availablePermissions: [viewer, custom], availabilityCondition: under('a') })]),
  ).toEqual([])
})

test.each<[string, AccessBoundary, AccessBoundary, boolean]>([
  ['the same', [reach()], [reach()], true],
  ['one of two rules', [reach()], [reach(), reach({ availableResource: bucket('other') })], true],
  ['one rule more', [reach(), reach({ availableResource: bucket('other') })], [reach()], false],
  ['another bucket', [reach({ availableResource: bucket('other') })], [reach()], false],
  ['a bucket that begins alike', [reach({ availableResource: bucket('reports-eu') })], [reach()], false],
  ['one permission more', [reach({ availablePermissions: [viewer, creator] })], [reach()], false],
  ['one permission less', [reach()], [reach({ availablePermissions: [viewer, creator] })], true],
  [
    'a permission of another rule',
    [reach({ availablePermissions: [creator] })],
    [reach(), reach({ availableResource: bucket('other'), availablePermissions: [creator] })],
    false,
  ],
  ['a condition where there was none', [reach({ availabilityCondition: under('a') })], [reach()], true],
  ['no condition where there was one', [reach()], [reach({ availabilityCondition: under('a') })], false],
  [
    'the same condition',
    [reach({ availabilityCondition: { ...under('a'), title: 't' } })],
    [reach({ availabilityCondition: under('a') })],
    true,
  ],
  [
    'a condition that cannot be compared',
    [reach({ availabilityCondition: under('ab') })],
    [reach({ availabilityCondition: under('a') })],
    false,
  ],
])('contained: %s', (_, inner, outer, expected) => {
  expect(isContained(inner, outer)).toBe(expected)
})

function narrowed(
  asked: AccessBoundary | undefined,
  boundary: AccessBoundary,
): AccessBoundary | string | undefined {
  const rule = policyOf([ruleWith({ boundary })]).policy.rules[0]
  if (rule === undefined) throw new Error('the policy must have its rule')
  try {
    return narrowBoundary(asked, rule)
  } catch (error) {
    return isBrokerError(error) && error.code === 'request_malformed' ? error.publicDetail : String(error)
  }
}

test('P13: a rule’s boundary always applies, and a caller’s own only narrows it', () => {
  const narrower = [reach({ availabilityCondition: under('a') })]

  expect(narrowed(undefined, [])).toBeUndefined()
  expect(narrowed(undefined, [reach()])).toEqual([reach()])
  expect(narrowed(narrower, [])).toEqual(narrower)
  expect(narrowed(narrower, [reach()])).toEqual(narrower)
  expect(narrowed([reach()], narrower)).toContain('not contained')
  expect(narrowed([reach({ availableResource: bucket('other') })], [reach()])).toContain('not contained')
})

test('a boundary without rules is refused, and never read as no boundary', () => {
  expect(narrowed([], [reach()])).toBe('accessBoundaryRules: needs at least one rule')
  expect(narrowed([], [])).toBe('accessBoundaryRules: needs at least one rule')
})

test('a faulty boundary is refused with its place', () => {
  expect(narrowed([reach({ availablePermissions: ['x'] })], [])).toContain(
    'accessBoundaryRules[0].availablePermissions[0]: must be',
  )
})
