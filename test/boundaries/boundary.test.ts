import { expect, test } from 'vitest'
import { boundaryFaults } from '../../src/boundaries/boundary.ts'
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
