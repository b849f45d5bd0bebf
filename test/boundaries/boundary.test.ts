import { expect, test } from 'vitest'
import { boundaryFaults, describeBoundaryFault } from '../../src/boundaries/boundary.ts'
import type { AccessBoundary } from '../../src/domain/access-boundary.ts'
import { bucket, reach, under, viewer } from '../support/boundaries.ts'

test.each<[string, AccessBoundary]>([
  ['no rules', []],
  ['eleven rules', Array.from({ length: 11 }, () => reach())],
  ['more than 2048 characters', [reach({ availabilityCondition: under('x'.repeat(1900)) })]],
  ['another service', [reach({ availableResource: '//bigquery.googleapis.com/projects/_/buckets/reports' })]],
  ['an object instead of a bucket', [reach({ availableResource: `${bucket('reports')}/objects/a` })]],
  ['another project', [reach({ availableResource: '//storage.googleapis.com/projects/p/buckets/reports' })]],
  ['no permission', [reach({ availablePermissions: [] })]],
  ['a bare permission', [reach({ availablePermissions: ['storage.objects.get'] })]],
  [
    'a condition with matches',
    [reach({ availabilityCondition: { expression: "resource.name.matches('a')" } })],
  ],
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

test('what is wrong with a condition is told with its line, its column and what would be allowed', () => {
  const expression = "resource.name == 'a' ||\n  resource.name.matches('b')"
  const [fault] = boundaryFaults([reach({ availabilityCondition: { expression } })])

  const text = fault === undefined ? 'no fault' : describeBoundaryFault(fault)
  expect(text).toContain(
    'accessBoundaryRules[0].availabilityCondition.expression: "matches" is not expected here',
  )
  expect(text).toContain("resource.name, api.getAttribute('storage.googleapis.com/objectListPrefix', '')")
  expect(text).toContain('(line 2, column 17)')
})
