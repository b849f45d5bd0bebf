import fc from 'fast-check'
import { expect, test } from 'vitest'
import { intersectBoundaries } from '../../src/boundaries/intersect-boundaries.ts'
import type { AccessBoundary } from '../../src/domain/access-boundary.ts'
import { formatCondition } from '../../src/domain/boundary-condition.ts'
import { admin, bucket, condition, creator, reach, under, user, viewer } from '../support/boundaries.ts'
import { isAllowed, type StorageRequest } from '../support/google/cloud-storage.ts'
import { createIssuedTokens } from '../support/google/issued-tokens.ts'

const other = reach({ availableResource: bucket('other') })
const conditioned = (expression: string) => reach({ availabilityCondition: { expression } })
const name = (text: string) => `resource.name == '${text}'`

test.each<[string, AccessBoundary, AccessBoundary, AccessBoundary]>([
  ['the same twice is the same', [reach()], [reach()], [reach()]],
  ['one of two buckets', [reach()], [reach(), other], [reach()]],
  [
    'the permissions that both name',
    [reach({ availablePermissions: [viewer, creator] })],
    [reach({ availablePermissions: [creator, viewer, 'inRole:roles/x.y'] })],
    [reach({ availablePermissions: [viewer, creator] })],
  ],
  ['a narrower role asked for', [reach()], [reach({ availablePermissions: [admin] })], [reach()]],
  ['a broader role asked for', [reach({ availablePermissions: [admin] })], [reach()], [reach()]],
  [
    'a role that contains both of the rule’s',
    [reach({ availablePermissions: [user] })],
    [reach({ availablePermissions: [viewer] }), reach({ availablePermissions: [creator] })],
    [reach({ availablePermissions: [viewer] }), reach({ availablePermissions: [creator] })],
  ],
  [
    'the caller’s condition',
    [reach({ availabilityCondition: under('a') })],
    [reach()],
    [reach({ availabilityCondition: under('a') })],
  ],
  [
    'the rule’s condition',
    [reach()],
    [reach({ availabilityCondition: under('a') })],
    [reach({ availabilityCondition: under('a') })],
  ],
  [
    'the same condition once, with the caller’s title',
    [reach({ availabilityCondition: { ...under('a'), title: 't' } })],
    [reach({ availabilityCondition: { expression: ` ${under('a').expression}\n` } })],
    [reach({ availabilityCondition: { ...under('a'), title: 't' } })],
  ],
  [
    'both conditions',
    [conditioned(`${name('a')} || ${name('b')} // either`)],
    [conditioned(name('c'))],
    [conditioned(`(${name('a')} || ${name('b')}) && (${name('c')})`)],
  ],
  [
    'one rule where another would reach less',
    [conditioned(name('a')), conditioned(name('b'))],
    [conditioned(name('a')), conditioned(name('b'))],
    [conditioned(name('a')), conditioned(name('b'))],
  ],
])('both reach: %s', (_, asked, allowed, boundary) => {
  expect(intersectBoundaries(asked, allowed)).toEqual({ ok: true, boundary })
})

const many = (sign: string) => Array.from({ length: 4 }, (_, index) => conditioned(name(`${sign}${index}`)))

test.each<[string, AccessBoundary, AccessBoundary, string]>([
  ['another bucket', [reach(), other], [reach()], 'not a resource'],
  [
    'a bucket that begins alike',
    [reach({ availableResource: bucket('reports-eu') })],
    [reach()],
    'not a resource',
  ],
  [
    'a role of another kind',
    [reach({ availablePermissions: [viewer, creator] })],
    [reach()],
    'cannot be compared',
  ],
  [
    'a role nothing is known of',
    [reach({ availablePermissions: ['inRole:roles/x.y'] })],
    [reach()],
    'cannot be compared',
  ],
  [
    'a permission of another bucket’s rule',
    [reach({ availablePermissions: [creator] })],
    [reach(), { ...other, availablePermissions: [creator] }],
    'cannot be compared',
  ],
  [
    'a condition that closes what it did not open',
    [conditioned('true) || (true')],
    [conditioned(name('a'))],
    '")" is not expected here',
  ],
  [
    'a rule’s condition that cannot be read',
    [conditioned(name('a'))],
    [conditioned("r'a' == resource.name")],
    '"r" is not known',
  ],
  ['more than ten rules', many('a'), many('b'), 'more than 10 rules'],
  [
    'more than 2,048 characters',
    [conditioned(name('x'.repeat(1000)))],
    [conditioned(name('y'.repeat(1000)))],
    'longer than 2048',
  ],
])('refused rather than guessed: %s', (_, asked, allowed, text) => {
  const both = intersectBoundaries(asked, allowed)

  expect(both.ok ? both.boundary : both.fault.text).toContain(text)
})

const everything = createIssuedTokens(() => 0).issue({
  kind: 'service_account',
  scopes: ['https://www.googleapis.com/auth/cloud-platform'],
  subject: 'robot',
  expiresAt: 1,
})
const roles = [viewer, creator, user, admin]
const rule = fc.record(
  {
    availableResource: fc.constantFrom(bucket('reports'), bucket('other')),
    availablePermissions: fc.subarray(roles, { minLength: 1 }),
    availabilityCondition: condition.map((tree) => ({ expression: formatCondition(tree) })),
  },
  { requiredKeys: ['availableResource', 'availablePermissions'] },
)
const boundary = fc.array(rule, { minLength: 1, maxLength: 3 })

test('P13, P30: of 10,000 pairs of boundaries none opens what either forbids, as another implementation judges', () => {
  const places = ['a', 'a/b', "o'neil", '😀'].flatMap((text) => [
    { bucket: 'reports', object: text },
    { bucket: 'other', prefix: text },
  ])
  const permissions = ['storage.objects.get', 'storage.objects.list', 'storage.objects.create'] as const
  const isOpen = (rules: AccessBoundary, request: StorageRequest) =>
    isAllowed({ token: everything, boundary: { accessBoundaryRules: rules }, isSealed: false }, request)
  let opened = 0
  let joined = 0
  fc.assert(
    fc.property(boundary, boundary, fc.constantFrom(...permissions), (asked, allowed, permission) => {
      const both = intersectBoundaries(asked, allowed)
      if (!both.ok) return
      joined += 1
      for (const place of places) {
        const request = { ...place, permission }
        if (!isOpen(both.boundary, request)) continue
        opened += 1
        expect([isOpen(asked, request), isOpen(allowed, request)]).toEqual([true, true])
      }
    }),
    { numRuns: 10_000 },
  )
  expect(joined).toBeGreaterThan(1_000)
  expect(opened).toBeGreaterThan(1_000)
}, 120_000)
